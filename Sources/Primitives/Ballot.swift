/// A claim to be master: the fencing token on everything that a master asks for.
///
/// Ordered by term, then by node, so that any two ballots of different claims differ.
package struct Ballot: Hashable, Comparable, Sendable {
    @usableFromInline package let term: UInt64
    @usableFromInline package let node: NodeID

    @inlinable
    package init(term: UInt64, node: NodeID) {
        self.term = term
        self.node = node
    }

    @inlinable
    package static func == (left: Self, right: Self) -> Bool {
        left.term == right.term && left.node == right.node
    }

    @inlinable
    package static func < (left: Self, right: Self) -> Bool {
        left.term != right.term ? left.term < right.term : left.node < right.node
    }
}

extension Ballot: CustomStringConvertible {
    package var description: String { "\(term)/\(node.short)" }
}
