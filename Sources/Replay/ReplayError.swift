/// Why a scenario cannot be replayed on real sockets, and what can be done.
package struct ReplayError: Error, Equatable, CustomStringConvertible {
    package let description: String

    package init(_ description: String) {
        self.description = description
    }
}
