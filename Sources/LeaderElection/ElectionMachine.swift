package import Primitives

/// Who is master: Raft's election (Ongaro, Ousterhout 2014) without its log, with pre-votes,
/// leases and ranks, under the policy `available`.
///
/// Every mutually reachable side keeps serving: a candidate needs the votes of a majority of the
/// members that it sees as present, itself included. Three things always hold: one master a
/// ballot; a member obeys only rising ballots; a master whose lease has ended knows it.
package struct ElectionMachine: Sendable {
    package let configuration: ElectionConfiguration
    package let own: NodeID
    package internal(set) var record: ElectionRecord
    package internal(set) var role = Role.follower
    /// The master that this member obeys now, itself included; nil while there is none.
    package internal(set) var master: Ballot?

    var generator: SeededGenerator
    /// Who takes part, this member included, sorted by node.
    var members: [Standing]
    var isServing = false
    var hasResigned = false
    /// Before this moment the member votes for nobody: it has forgotten which leases it gave.
    var quietUntil = Instant.origin
    var lastHeartbeat: Instant?
    /// Who was last heard reigning without being obeyed; this member neither stands nor votes
    /// against them, because they are about to win it over.
    var rival: (node: NodeID, heard: Instant)?
    /// The last ballot that its own master gave up.
    var resignedBallot: Ballot?

    package enum Role: Equatable, Sendable {
        case follower
        case candidate(Candidacy)
        case master(Reign)
    }

    /// Who supports a ballot so far; sorted by node.
    package struct Candidacy: Equatable, Sendable {
        package var ballot: Ballot
        package var isPreVote: Bool
        package var supporters: [NodeID]
    }

    /// What a master keeps account of.
    package struct Reign: Equatable, Sendable {
        package var ballot: Ballot
        package var sequence: UInt32 = 0
        /// When heartbeats were sent that may still be answered, oldest first.
        package var sent: [(sequence: UInt32, at: Instant)] = []
        /// The latest heartbeat that each member obeyed; sorted by node.
        package var answers: [(node: NodeID, at: Instant)] = []
        /// Members that appeared lately, and since when.
        package var newcomers: [(node: NodeID, since: Instant)] = []
        /// Until when no majority obeys anybody else; not in the future before the first answers.
        package var leaseEnd: Instant
        /// Until when the first answers are waited for.
        let firstAnswersEnd: Instant
        /// A higher ballot that the master asks votes for while it goes on.
        package var renewal: Candidacy?

        package static func == (left: Self, right: Self) -> Bool {
            left.ballot == right.ballot && left.sequence == right.sequence
                && left.leaseEnd == right.leaseEnd && left.renewal == right.renewal
        }
    }

    package init(
        own: NodeID,
        record: ElectionRecord,
        configuration: ElectionConfiguration = ElectionConfiguration(),
        seed: UInt64
    ) {
        self.own = own
        self.record = Mutant.forgetsVote.isPlanted ? ElectionRecord() : record
        self.configuration = configuration
        generator = SeededGenerator(seed: seed)
        members = [Standing(holdsWantedModel: true, hasEngine: true, node: own)]
    }

    package mutating func handle(
        _ input: ElectionInput,
        at now: Instant,
        effects: inout [ElectionEffect]
    ) {
        switch input {
        case .start:
            quietUntil = now + configuration.minimumTimeout
            awaitElection(&effects)
        case .message(let message, let sender):
            receive(message, from: sender, at: now, &effects)
        case .members(let standings): membersChanged(standings, at: now, &effects)
        case .serving(let isServing): self.isServing = isServing
        case .resign: resign(&effects)
        case .timer(let timer): fired(timer, at: now, &effects)
        }
    }

    private mutating func receive(
        _ message: ElectionMessage,
        from sender: NodeID,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        guard sender != own else { return }
        switch message {
        case .preVoteRequest(let ballot):
            let isGranted = wouldVote(for: ballot, at: now)
            let reply = ElectionMessage.VoteReply(
                ballot: ballot,
                isGranted: isGranted,
                term: record.term
            )
            effects.append(.send(.preVoteReply(reply), to: sender))
        case .voteRequest(let ballot): judge(ballot, from: sender, at: now, &effects)
        case .preVoteReply(let reply):
            countVote(reply, isPreVote: true, from: sender, at: now, &effects)
        case .voteReply(let reply):
            countVote(reply, isPreVote: false, from: sender, at: now, &effects)
        case .heartbeat(let heartbeat):
            guard heartbeat.ballot.node == sender else { return }
            hear(heartbeat, at: now, &effects)
        case .heartbeatReply(let reply): heartbeatAnswered(reply, by: sender, at: now, &effects)
        case .resign(let ballot):
            guard ballot.node == sender else { return }
            resignedBallot = ballot
            if master == ballot { loseMaster(&effects) }
        }
    }

    private mutating func fired(
        _ timer: ElectionTimer,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        switch timer {
        case .election: electionDue(at: now, &effects)
        case .vote: voteEnded(at: now, &effects)
        case .heartbeat:
            // After a sleep both are due: who overslept its lease must not say that it is master.
            if hasLeaseEnded(at: now) {
                leaseDue(at: now, &effects)
            } else {
                sendHeartbeats(at: now, &effects)
            }
        case .lease: leaseDue(at: now, &effects)
        }
    }

    private mutating func membersChanged(
        _ standings: [Standing],
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        let known = members.map(\.node)
        members = standings
        // Fewer members may need fewer votes, and fewer answers.
        switch role {
        case .follower: break
        case .candidate: countSupport(at: now, &effects)
        case .master(var reign):
            reign.answers.removeAll { !isPresent($0.node) }
            reign.newcomers.removeAll { !isPresent($0.node) }
            for standing in standings where !known.contains(standing.node) {
                reign.newcomers.append((standing.node, now))
            }
            role = .master(reign)
            renewLease(at: now, &effects)
        }
    }

    private mutating func resign(_ effects: inout [ElectionEffect]) {
        hasResigned = true
        effects.append(.cancelTimer(.vote))
        if case .master(let reign) = role {
            for member in members where member.node != own {
                effects.append(.send(.resign(reign.ballot), to: member.node))
            }
            depose(.resigned, &effects)
        }
        role = .follower
    }

    // MARK: - Shared

    /// How many of the present members make a majority, this member included.
    var majority: Int { members.count / 2 + 1 }

    func isPresent(_ node: NodeID) -> Bool {
        members.contains { $0.node == node }
    }

    /// Raises the known term; a vote belongs to its term.
    mutating func learn(term: UInt64) {
        guard term > record.term else { return }
        record.term = term
        record.vote = nil
    }

    mutating func loseMaster(_ effects: inout [ElectionEffect]) {
        guard let lost = master else { return }
        master = nil
        lastHeartbeat = nil
        effects.append(.emit(.masterLost(lost)))
        awaitElection(&effects)
    }

    /// Ends this member's own mastership.
    mutating func depose(_ reason: DepositionReason, _ effects: inout [ElectionEffect]) {
        guard case .master(let reign) = role else { return }
        role = .follower
        master = nil
        lastHeartbeat = nil
        effects.append(.cancelTimer(.heartbeat))
        effects.append(.cancelTimer(.lease))
        effects.append(.emit(.deposed(reign.ballot, reason)))
        awaitElection(&effects)
    }
}
