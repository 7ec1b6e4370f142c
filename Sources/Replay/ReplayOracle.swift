import LeaderElection
import Primitives
import Simulator

/// What an agent says of itself and of others, through its HTTP API.
struct AgentView: Equatable {
    struct Member: Equatable {
        var id: NodeID
        var isPresent: Bool
        var incarnation: UInt64
    }

    var own: NodeID
    /// The ballot of the master that it obeys.
    var master: Ballot?
    var members: [Member]
    /// Who elects masters, under the policy `quorum`.
    var voters: [NodeID]?

    var isMaster: Bool { master?.node == own }
    var present: [NodeID] { members.filter(\.isPresent).map(\.id) }
}

/// What must hold at every moment, as far as it can be seen from outside (election.md, S1, S2,
/// S4, and the lease).
///
/// It hears of each change a moment late, and not of all: what it finds is so, but it finds less
/// than the oracles of the simulator, which look inside.
struct ReplayOracle {
    private struct Belief: Hashable {
        var viewer: Int
        var life: Int
        var member: NodeID
    }

    private struct Reign: Equatable {
        var node: Int
        var life: Int
    }

    private var lives: [Int: Int] = [:]
    private var masters: [Ballot: Reign] = [:]
    /// Under `quorum`, who was master in a term.
    private var mastersOfTerms: [UInt64: NodeID] = [:]
    private var obeyed: [NodeID: Ballot] = [:]
    private var incarnations: [NodeID: UInt64] = [:]
    private var believed: [Belief: UInt64] = [:]
    /// Since when a member is present to a viewer.
    private var presentSince: [Belief: Duration] = [:]
    /// Since when a master has no majority within reach.
    private var powerlessSince: [Int: Duration] = [:]
    private let configuration = ElectionConfiguration()
    private(set) var ballots: Set<Ballot> = []
    private(set) var longestPowerless: Duration = .zero

    /// What a lease may be late: the next heartbeat, a change that is told late, and a busy machine.
    static let slack: Duration = .milliseconds(1500)

    /// An agent starts, with what it stored or with nothing.
    mutating func starts(_ node: Int) {
        lives[node, default: 0] += 1
        powerlessSince[node] = nil
    }

    /// An agent was stopped for a while and knows nothing of it.
    mutating func wakes(_ node: Int) {
        powerlessSince[node] = nil
    }

    /// - Returns: what does not hold.
    mutating func sees(
        _ view: AgentView,
        of node: Int,
        at now: Duration
    ) -> SideJudge.Problem? {
        let name = Scenario.name(of: node)
        let life = lives[node, default: 0]
        for member in view.members {
            let belief = Belief(viewer: node, life: life, member: member.id)
            if let before = believed[belief], member.incarnation < before {
                return SideJudge.Problem(
                    invariant: "S4",
                    detail: "\(name) went back from incarnation \(before) of \(member.id) to "
                        + "\(member.incarnation)"
                )
            }
            believed[belief] = member.incarnation
            if !member.isPresent {
                presentSince[belief] = nil
            } else if presentSince[belief] == nil {
                presentSince[belief] = now
            }
            guard member.id == view.own else { continue }
            if let before = incarnations[member.id], member.incarnation < before {
                return SideJudge.Problem(
                    invariant: "S4",
                    detail: "\(name) went back from its incarnation \(before) to "
                        + "\(member.incarnation)"
                )
            }
            incarnations[member.id] = member.incarnation
        }
        return ballotProblem(view, name, Reign(node: node, life: life))
    }

    private mutating func ballotProblem(
        _ view: AgentView,
        _ name: String,
        _ reign: Reign
    ) -> SideJudge.Problem? {
        guard let ballot = view.master else { return nil }
        if let before = obeyed[view.own], ballot < before {
            return SideJudge.Problem(
                invariant: "S2",
                detail: "\(name) obeys \(ballot) after \(before)"
            )
        }
        obeyed[view.own] = ballot
        ballots.insert(ballot)
        guard view.isMaster else { return nil }
        if let other = masters[ballot], other != reign {
            return SideJudge.Problem(
                invariant: "S1",
                detail: "\(ballot) has two masters: \(Scenario.name(of: other.node)) and \(name)"
            )
        }
        masters[ballot] = reign
        guard view.voters != nil else { return nil }
        if let other = mastersOfTerms[ballot.term], other != ballot.node {
            return SideJudge.Problem(
                invariant: "S1",
                detail: "term \(ballot.term) has two masters: \(other) and \(name)"
            )
        }
        mastersOfTerms[ballot.term] = ballot.node
        return nil
    }

    /// A master that no majority can answer must soon stop saying that it is one.
    ///
    /// - Parameter reaches: whether packets pass both ways between a node and a member that runs.
    mutating func watchLease(
        _ view: AgentView,
        of node: Int,
        at now: Duration,
        reaches: (NodeID) -> Bool
    ) -> SideJudge.Problem? {
        guard view.isMaster else {
            powerlessSince[node] = nil
            return nil
        }
        let electors = view.voters ?? settled(view, node, now)
        let reached = electors.count { $0 == view.own || reaches($0) }
        guard reached <= electors.count / 2 else {
            powerlessSince[node] = nil
            return nil
        }
        let since = powerlessSince[node] ?? now
        powerlessSince[node] = since
        longestPowerless = max(longestPowerless, now - since)
        guard now - since > configuration.lease + Self.slack else { return nil }
        return SideJudge.Problem(
            invariant: "lease",
            detail: "\(Scenario.name(of: node)) has been master for \(now - since) with "
                + "\(reached) of \(electors.count) \(view.voters == nil ? "members" : "voters") "
                + "within reach, itself included"
        )
    }

    /// The members whose votes count under `available`; who has just appeared does not yet.
    private func settled(_ view: AgentView, _ node: Int, _ now: Duration) -> [NodeID] {
        let life = lives[node, default: 0]
        let others = view.present.filter { member in
            let belief = Belief(viewer: node, life: life, member: member)
            guard member != view.own, let since = presentSince[belief] else { return false }
            return now - since > configuration.newcomerGrace
        }
        return others + [view.own]
    }
}
