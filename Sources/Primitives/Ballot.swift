/// A claim to be master: the fencing token on everything that a master asks for.
///
/// Ordered by term, then by node, so that any two ballots of different claims differ.
public struct Ballot: Hashable, Comparable, Sendable {
    @usableFromInline package let term: UInt64
    @usableFromInline package let node: NodeID

    /// The claim of a node in a term.
    @inlinable
    public init(term: UInt64, node: NodeID) {
        self.term = term
        self.node = node
    }

    /// Whether both are the same claim.
    @inlinable
    public static func == (left: Self, right: Self) -> Bool {
        left.term == right.term && left.node == right.node
    }

    /// By term, then by node.
    @inlinable
    public static func < (left: Self, right: Self) -> Bool {
        left.term != right.term ? left.term < right.term : left.node < right.node
    }
}

extension Ballot: CustomStringConvertible {
    /// For people: the term and the first digits of the node.
    public var description: String { "\(term)/\(node.short)" }
}
