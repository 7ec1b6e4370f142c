package import Primitives

/// How long it takes after each change of the faults until all is well.
///
/// A phase begins when a fault begins or ends, and lasts until the next does.
package struct PhaseRecorder: Sendable {
    package struct StepDown: Equatable, Sendable {
        package var node: String
        package var after: Duration

        package init(node: String, after: Duration) {
            self.node = node
            self.after = after
        }
    }

    /// Nodes that reach each other while the phase lasts.
    package struct Side: Equatable, Sendable {
        package var nodes: [String]
        /// From the beginning until all was well among them for good; nil if it never was.
        package var wellAfter: Duration?
        /// Who was master then.
        package var master: String?

        package init(nodes: [String], wellAfter: Duration? = nil, master: String? = nil) {
            self.nodes = nodes
            self.wellAfter = wellAfter
            self.master = master
        }

        package var name: String {
            guard let last = nodes.last, nodes.count > 1 else { return nodes.first ?? "" }
            return nodes.dropLast().joined(separator: ", ") + " and " + last
        }
    }

    package struct Phase: Equatable, Sendable {
        package var at: Duration
        /// The fault's place in the scenario; nil for the time before the first.
        package var fault: Int?
        package var begins: Bool
        package var caption: String
        package var end: Duration?
        /// From the beginning until all was well on all sides for good; nil if it never was.
        package var wellAfter: Duration?
        package var sides: [Side] = []
        /// Those who were master when the phase began and stopped saying so.
        package var stepDowns: [StepDown] = []
        /// How long the phase's longest time was during which a node obeyed nobody.
        package var longestMasterless: Duration = .zero

        /// The name under which phases of several runs are compared.
        package var key: String { "\(fault ?? -1) \(begins)" }
    }

    package private(set) var phases: [Phase] = []
    private var current: Phase
    private var claimants: [Int] = []
    private var wellSince: Duration?
    /// By the numbers of the nodes; in the order in which they were seen.
    private var sides: [(nodes: [Int], side: Side)] = []
    private var masterlessSince: [Int: Duration] = [:]
    private var latest: [SideJudge.Node] = []

    package init(caption: String) {
        current = Phase(at: .zero, fault: nil, begins: true, caption: caption)
    }

    /// A fault begins or ends.
    package mutating func change(fault: Int, begins: Bool, caption: String, at now: Duration) {
        close(at: now)
        current = Phase(at: now, fault: fault, begins: begins, caption: caption)
        sides = []
        claimants = latest.filter { $0.master?.node == $0.id }.map(\.index)
    }

    /// A node that stood still when the phase began, and believed itself master, runs again.
    package mutating func wakes(masterAt index: Int) {
        if !claimants.contains(index) { claimants.append(index) }
    }

    /// What the nodes that run say now.
    ///
    /// - Parameter isComplete: whether these are all that something is demanded of.
    /// - Returns: what is not well.
    @discardableResult
    package mutating func look(
        _ nodes: [SideJudge.Node],
        isComplete: Bool,
        by judge: SideJudge,
        name: (NodeID) -> String,
        at now: Duration
    ) -> SideJudge.Problem? {
        latest = nodes
        let problem = look(at: judge.sides(of: nodes), judge, name, now)
        if problem != nil || !isComplete {
            wellSince = nil
        } else if wellSince == nil {
            wellSince = max(now, current.at)
        }
        for node in nodes { watch(node, now) }
        for (index, since) in masterlessSince where !nodes.contains(where: { $0.index == index }) {
            settle(since, now)
            masterlessSince[index] = nil
        }
        stepDowns(nodes, now)
        return problem
    }

    private mutating func look(
        at found: [[SideJudge.Node]],
        _ judge: SideJudge,
        _ name: (NodeID) -> String,
        _ now: Duration
    ) -> SideJudge.Problem? {
        var first: SideJudge.Problem?
        var judged: [(nodes: [Int], side: Side)] = []
        for nodes in found {
            let numbers = nodes.map(\.index)
            var side =
                sides.first { $0.nodes == numbers }?.side ?? Side(nodes: nodes.map(\.name))
            if let problem = judge.problem(of: nodes, name) {
                first = first ?? problem
                side.wellAfter = nil
                side.master = nil
            } else if side.wellAfter == nil {
                side.wellAfter = max(.zero, now - current.at)
                side.master = nodes.first { $0.master?.node == $0.id }?.name
            }
            judged.append((numbers, side))
        }
        sides = judged
        return first
    }

    private mutating func watch(_ node: SideJudge.Node, _ now: Duration) {
        if node.master == nil {
            if masterlessSince[node.index] == nil { masterlessSince[node.index] = now }
        } else if let since = masterlessSince.removeValue(forKey: node.index) {
            settle(since, now)
        }
    }

    private mutating func settle(_ since: Duration, _ now: Duration) {
        current.longestMasterless = max(current.longestMasterless, now - since)
    }

    private mutating func stepDowns(_ nodes: [SideJudge.Node], _ now: Duration) {
        for node in nodes where node.master?.node != node.id && claimants.contains(node.index) {
            claimants.removeAll { $0 == node.index }
            current.stepDowns.append(StepDown(node: node.name, after: now - current.at))
        }
    }

    /// For how long all has been well; nil if something is not.
    package func wellFor(at now: Duration) -> Duration? {
        wellSince.map { now - max($0, current.at) }
    }

    /// The phase that is going on.
    package func ongoing(at now: Duration) -> Phase {
        var phase = current
        phase.wellAfter = wellSince.map { max($0, current.at) - current.at }
        phase.end = now
        phase.sides = sides.map(\.side)
        for since in masterlessSince.values {
            phase.longestMasterless = max(phase.longestMasterless, now - since)
        }
        return phase
    }

    package mutating func close(at now: Duration) {
        phases.append(ongoing(at: now))
    }
}
