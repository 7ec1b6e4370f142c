/// A claim to be master: the fencing token on everything that a master asks for.
///
/// Ordered by term, then by node, so that any two ballots of different claims differ.
package struct Ballot: Hashable, Comparable, Sendable {
    package let term: UInt64
    package let node: NodeID

    package init(term: UInt64, node: NodeID) {
        self.term = term
        self.node = node
    }

    package static func < (left: Self, right: Self) -> Bool {
        (left.term, left.node) < (right.term, right.node)
    }
}

extension Ballot: CustomStringConvertible {
    package var description: String { "\(term)/\(node.short)" }
}
