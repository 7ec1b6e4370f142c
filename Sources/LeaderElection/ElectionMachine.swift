package import Primitives

/// Who is master: Raft's election (Ongaro, Ousterhout 2014) without its log, with pre-votes,
/// leases and ranks.
///
/// Under the policy `available` every mutually reachable side keeps serving: a candidate needs the
/// votes of a majority of the members that it sees as present, itself included. Under `quorum` it
/// needs those of a majority of the voters in its configuration. Three things always hold: one
/// master a ballot (under `quorum` one a term); a member obeys only rising ballots; a master whose
/// lease has ended knows it.
package struct ElectionMachine: Sendable {
    package let configuration: ElectionConfiguration
    package let own: NodeID
    package internal(set) var record: ElectionRecord
    package internal(set) var role = Role.follower
    /// The master that this member obeys now, itself included; nil while there is none.
    package internal(set) var master: Ballot?

    var generator: SeededGenerator
    /// Who is there, this member included, sorted by node.
    private var seen: [Standing]
    /// Who takes part: those of them that run the same policy.
    var members: [Standing]
    /// Since when each member has been there, so that voters are steady ones; sorted by node.
    var presentSince: [(node: NodeID, at: Instant)] = []
    /// Who was heard that cannot be in one cluster with this member.
    var foreigners: [Foreigner] = []
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
    /// As a master: whom it is about to hand over to.
    var transfer: Transfer?
    /// What this member handed over, until it is known how that ended.
    var handedOver: HandedOver?
    /// Mastership that was handed over to this member, which still has to win it.
    var inherited: HandedOver?
    var isLeaving = false
    /// It was a voter when it began to leave.
    var hasVote = false
    /// `mayLeave` was said.
    var hasLeave = false

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
        /// An heir's voters that refused once.
        var askedAgain: [NodeID] = []
    }

    /// What a master keeps account of.
    package struct Reign: Equatable, Sendable {
        package var ballot: Ballot
        package var sequence: UInt32 = 0
        /// When heartbeats were sent that may still be answered, oldest first.
        package var sent: [(sequence: UInt32, at: Instant)] = []
        /// The latest heartbeat that each member obeyed; sorted by node.
        package var answers: [(node: NodeID, at: Instant)] = []
        /// Which configuration each member has said that it stored, in which term; sorted by node.
        package var held: [(node: NodeID, id: ConfigurationID, term: UInt64)] = []
        /// Voters that asked to be let go.
        package var leaving: [NodeID] = []
        let began: Instant
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
        if Mutant.forgetsVoters.isPlanted { self.record.configuration = nil }
        generator = SeededGenerator(seed: seed)
        seen = [Standing(holdsWantedModel: true, hasEngine: true, node: own)]
        members = seen
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
        case .found: found(&effects)
        case .transfer(let target): beginTransfer(to: target, at: now, &effects)
        case .yield: yield(at: now, &effects)
        case .leave: leave(at: now, &effects)
        case .timer(let timer): fired(timer, at: now, &effects)
        }
    }

    private mutating func receive(
        _ message: ElectionMessage,
        from sender: NodeID,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        guard sender != own, isOfThisPolicy(message, from: sender, at: now, &effects) else {
            return
        }
        switch message {
        case .preVoteRequest(let request):
            let isGranted = wouldVote(for: request, at: now)
            let reply = ElectionMessage.VoteReply(
                ballot: request.ballot,
                isGranted: isGranted,
                term: record.term
            )
            effects.append(.send(.preVoteReply(reply), to: sender))
            inform(sender, of: request.configuration, &effects)
        case .voteRequest(let request): judge(request, from: sender, at: now, &effects)
        case .preVoteReply(let reply):
            countVote(reply, isPreVote: true, from: sender, at: now, &effects)
        case .voteReply(let reply):
            countVote(reply, isPreVote: false, from: sender, at: now, &effects)
        case .heartbeat(let heartbeat):
            guard heartbeat.ballot.node == sender else { return }
            hear(heartbeat, inBrief: false, at: now, &effects)
        case .heartbeatReply(let reply): heartbeatAnswered(reply, by: sender, at: now, &effects)
        case .beat(let beat):
            let heartbeat = ElectionMessage.Heartbeat(beat, of: sender)
            hear(heartbeat, inBrief: true, at: now, &effects)
        case .beatObeyed(let answer):
            guard answer.tag == own.tag else { return }
            let reply = ElectionMessage.HeartbeatReply(answer, to: own)
            heartbeatAnswered(reply, by: sender, at: now, &effects)
        case .resign(let ballot):
            guard ballot.node == sender else { return }
            resignedBallot = ballot
            if master == ballot { loseMaster(.resigned, &effects) }
        case .configuration(let newer): learn(newer, from: sender, at: now, &effects)
        case .transferOffer(let ballot): judgeOffer(ballot, from: sender, at: now, &effects)
        case .transferAnswer(let answer): answered(answer, by: sender, at: now, &effects)
        case .handOver(let handOver): hear(handOver, from: sender, at: now, &effects)
        case .release(let ballot): hearRelease(ballot, from: sender, at: now, &effects)
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
        case .transfer: transferDue(at: now, &effects)
        case .release: tendDeparture(at: now, &effects)
        }
    }

    private mutating func membersChanged(
        _ standings: [Standing],
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        seen = standings
        if configuration.policy == .quorum { notePresence(at: now) }
        foreigners.removeAll { foreigner in
            !standings.contains { $0.node == foreigner.node }
        }
        for standing in standings {
            guard let policy = standing.policy else { continue }
            if policy != configuration.policy {
                meetForeigner(standing.node, .otherPolicy, at: now, &effects)
            } else if hasOtherPolicy(standing.node) {
                foreigners.removeAll { $0.node == standing.node }
            }
        }
        countMembers(at: now, &effects)
    }

    /// Takes everybody for a member who is there and runs the same policy.
    mutating func countMembers(at now: Instant, _ effects: inout [ElectionEffect]) {
        let known = members
        // Usually it is the same list, which is long in large clusters.
        members = foreigners.isEmpty ? seen : seen.filter { !hasOtherPolicy($0.node) }
        // Fewer members may need fewer votes, and fewer answers.
        switch role {
        case .follower: break
        case .candidate: countSupport(at: now, &effects)
        case .master(var reign):
            if configuration.policy == .available {
                reign.answers.removeAll { !isPresent($0.node) }
            }
            reign.newcomers.removeAll { !isPresent($0.node) }
            for standing in members where !Self.contains(standing.node, in: known) {
                reign.newcomers.append((standing.node, now))
            }
            role = .master(reign)
            renewLease(at: now, &effects)
        }
    }

    private mutating func notePresence(at now: Instant) {
        let before = presentSince
        var next = before.startIndex
        presentSince = seen.map { standing in
            while next < before.endIndex, before[next].node < standing.node { next += 1 }
            let isKnown = next < before.endIndex && before[next].node == standing.node
            return (standing.node, isKnown ? before[next].at : now)
        }
    }

    mutating func resign(_ effects: inout [ElectionEffect]) {
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

    func isPresent(_ node: NodeID) -> Bool {
        Self.contains(node, in: members)
    }

    private static func contains(_ node: NodeID, in standings: [Standing]) -> Bool {
        let index = standings.sortedIndex { $0.node < node }
        return index < standings.count && standings[index].node == node
    }

    /// Raises the known term; a vote belongs to its term.
    mutating func learn(term: UInt64) {
        guard term > record.term else { return }
        record.term = term
        record.vote = nil
    }

    mutating func loseMaster(_ loss: MasterLoss, _ effects: inout [ElectionEffect]) {
        guard let lost = master else { return }
        master = nil
        lastHeartbeat = nil
        effects.append(.emit(.masterLost(lost, loss)))
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
        if let transfer {
            self.transfer = nil
            let outcome = TransferOutcome(target: transfer.target, result: .refused(.deposed))
            effects.append(.emit(.transferEnded(outcome)))
        }
    }
}
