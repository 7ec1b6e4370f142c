package import Primitives

/// Whether all is well on every side of a network (election.md, L1, L2, L4): one master, obeyed by
/// all, and views that equal the side.
///
/// It knows what nodes say of themselves and which links are open, and so judges simulated nodes
/// and real ones alike.
package struct SideJudge {
    /// What a running node says.
    package struct Node: Equatable, Sendable {
        package var index: Int
        package var id: NodeID
        /// The ballot of the master that it obeys.
        package var master: Ballot?
        /// The members that it takes for present, itself included.
        package var present: [NodeID]
        /// Who elects masters, as it knows; nil under the policy `available`, and for a node of no
        /// cluster yet.
        package var voters: [NodeID]?

        package init(
            index: Int,
            id: NodeID,
            master: Ballot?,
            present: [NodeID],
            voters: [NodeID]? = nil
        ) {
            self.index = index
            self.id = id
            self.master = master
            self.present = present
            self.voters = voters
        }

        package var name: String { Scenario.name(of: index) }
    }

    package struct Problem: Equatable, Sendable {
        package var invariant: String
        package var detail: String

        package init(invariant: String, detail: String) {
            self.invariant = invariant
            self.detail = detail
        }
    }

    /// Whether others than the judged nodes may run and be faulty for ever: then views may hold
    /// more than the side, and its master may be one of them.
    package var hasOutsiders: Bool
    /// Whether packets pass from one node to another, directly.
    private let isOpen: (Int, Int) -> Bool

    package init(hasOutsiders: Bool, isOpen: @escaping (Int, Int) -> Bool) {
        self.hasOutsiders = hasOutsiders
        self.isOpen = isOpen
    }

    /// What is not well on the first side where something is not; nil if all is.
    ///
    /// Where not everybody reaches everybody, no single master can be demanded.
    ///
    /// - Parameter name: what to call a member of whom only the id is known.
    package func problem(_ nodes: [Node], name: (NodeID) -> String) -> Problem? {
        for side in sides(of: nodes) {
            if let problem = problem(of: side, name) { return problem }
        }
        return nil
    }

    /// What is not well on a side; nil if all is, or nothing can be demanded.
    package func problem(of side: [Node], _ name: (NodeID) -> String) -> Problem? {
        guard isClique(side), let first = side.first else { return nil }
        switch quorum(of: side) {
        case .isThere: break
        case .isNot: return problemWithoutQuorum(of: side) ?? viewProblem(of: side, name)
        case .isUnknown: return nil
        }
        for node in side {
            guard let ballot = node.master else {
                return Problem(invariant: "L1", detail: "\(node.name) obeys no master")
            }
            guard ballot == first.master else {
                return Problem(
                    invariant: "L1",
                    detail: "\(first.name) and \(node.name) obey different masters"
                )
            }
        }
        guard hasOutsiders || side.contains(where: { $0.id == first.master?.node }) else {
            return Problem(
                invariant: "L1",
                detail: "the master that \(first.name) obeys is not on its side"
            )
        }
        return viewProblem(of: side, name)
    }

    private enum Quorum {
        case isThere
        case isNot
        /// The nodes know different voters, as they do while these change.
        case isUnknown
    }

    /// Whether a side may have a master: always, where nobody knows of voters.
    private func quorum(of side: [Node]) -> Quorum {
        let answers = side.compactMap { node in
            node.voters.map { voters in
                side.count { voters.contains($0.id) } > voters.count / 2
            }
        }
        if answers.allSatisfy({ $0 }) { return .isThere }
        return answers.contains(true) ? .isUnknown : .isNot
    }

    /// Where no majority of the voters is, nobody may be master; who else may be about is only
    /// known if all nodes are judged.
    private func problemWithoutQuorum(of side: [Node]) -> Problem? {
        guard !hasOutsiders, let master = side.first(where: { $0.master?.node == $0.id }) else {
            return nil
        }
        return Problem(
            invariant: "L3",
            detail: "\(master.name) is master, and no majority of the voters is there"
        )
    }

    private func viewProblem(of side: [Node], _ name: (NodeID) -> String) -> Problem? {
        let members = side.map(\.id)
        for node in side {
            if let missing = members.first(where: { !node.present.contains($0) }) {
                return Problem(
                    invariant: "L2",
                    detail: "\(node.name) misses \(name(missing)), which it can reach"
                )
            }
            guard !hasOutsiders else { continue }
            if let extra = node.present.first(where: { !members.contains($0) }) {
                return Problem(
                    invariant: "L4",
                    detail: "\(node.name) takes \(name(extra)) for present"
                )
            }
        }
        return nil
    }

    // MARK: - Sides

    /// Who reaches whom both ways, over others too.
    package func sides(of nodes: [Node]) -> [[Node]] {
        var left = nodes
        var sides: [[Node]] = []
        while let first = left.first {
            left.removeFirst()
            var side = [first]
            var next = 0
            while next < side.count {
                let node = side[next]
                next += 1
                let linked = left.filter { isLinked(node, $0) }
                left.removeAll { isLinked(node, $0) }
                side += linked
            }
            sides.append(side)
        }
        return sides
    }

    private func isClique(_ side: [Node]) -> Bool {
        side.allSatisfy { first in
            side.allSatisfy { $0.index == first.index || isLinked(first, $0) }
        }
    }

    private func isLinked(_ first: Node, _ second: Node) -> Bool {
        isOpen(first.index, second.index) && isOpen(second.index, first.index)
    }
}
