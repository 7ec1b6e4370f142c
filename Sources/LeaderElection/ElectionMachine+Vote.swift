import Primitives

// Standing and voting (Raft §5.2, §9.6).
extension ElectionMachine {
    /// Waits until it is this member's turn to stand: the better its rank, the sooner.
    ///
    /// After a vote for somebody else it waits until that candidate must have won or given up.
    mutating func awaitElection(
        after grace: Duration = .zero,
        _ effects: inout [ElectionEffect]
    ) {
        guard !hasResigned else { return }
        effects.append(.setTimer(.election, after: grace + electionDelay()))
    }

    private mutating func electionDelay() -> Duration {
        let standing =
            members.first { $0.node == own }
            ?? Standing(holdsWantedModel: false, hasEngine: false, node: own)
        let rank = members.count { $0 > standing }
        let slot = min(
            .milliseconds(300),
            configuration.rankSpread.scaled(by: 1 / Double(max(1, members.count)))
        )
        let jitter = generator.duration(in: .zero...slot.scaled(by: 0.6))
        return .milliseconds(50) + slot * rank + jitter
    }

    mutating func electionDue(at now: Instant, _ effects: inout [ElectionEffect]) {
        guard case .follower = role else { return }
        if now < quietUntil {
            effects.append(.setTimer(.election, after: quietUntil - now + electionDelay()))
            return
        }
        if let lastHeartbeat, master != nil {
            let due = lastHeartbeat + configuration.minimumTimeout
            if now < due {
                effects.append(.setTimer(.election, after: due - now))
            } else {
                loseMaster(&effects)
            }
            return
        }
        guard !hasResigned else { return }
        if let rival = liveRival(at: now) {
            let due = rival.heard + configuration.minimumTimeout
            effects.append(.setTimer(.election, after: due - now + electionDelay()))
            return
        }
        stand(at: now, &effects)
    }

    private mutating func stand(at now: Instant, _ effects: inout [ElectionEffect]) {
        let ballot = Ballot(term: record.term + 1, node: own)
        role = .candidate(Candidacy(ballot: ballot, isPreVote: true, supporters: [own]))
        effects.append(.emit(.stands(ballot)))
        for member in members where member.node != own {
            effects.append(.send(.preVoteRequest(ballot), to: member.node))
        }
        effects.append(.setTimer(.vote, after: configuration.voteTimeout))
        countSupport(at: now, &effects)
    }

    private mutating func askForVotes(at now: Instant, _ effects: inout [ElectionEffect]) {
        let ballot = Ballot(term: record.term + 1, node: own)
        learn(term: ballot.term)
        record.vote = own
        effects.append(.persist(record))
        role = .candidate(Candidacy(ballot: ballot, isPreVote: false, supporters: [own]))
        for member in members where member.node != own {
            effects.append(.send(.voteRequest(ballot), to: member.node))
        }
        effects.append(.setTimer(.vote, after: configuration.voteTimeout))
        countSupport(at: now, &effects)
    }

    mutating func voteEnded(at now: Instant, _ effects: inout [ElectionEffect]) {
        switch role {
        case .follower: break
        case .candidate:
            role = .follower
            awaitElection(&effects)
        case .master(var reign):
            // The renewal found too few voters; the next refused heartbeat starts another.
            reign.renewal = nil
            role = .master(reign)
        }
    }

    mutating func countVote(
        _ reply: ElectionMessage.VoteReply,
        isPreVote: Bool,
        from voter: NodeID,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        switch role {
        case .follower: break
        case .candidate(var candidacy):
            if reply.term > record.term, !reply.isGranted {
                // Somebody knows a later term: what was asked for can't be won any more.
                learn(term: reply.term)
                effects.append(.persist(record))
                role = .follower
                effects.append(.cancelTimer(.vote))
                awaitElection(&effects)
                return
            }
            guard candidacy.ballot == reply.ballot, candidacy.isPreVote == isPreVote,
                reply.isGranted, !candidacy.supporters.contains(voter)
            else { return }
            candidacy.supporters.append(voter)
            role = .candidate(candidacy)
            countSupport(at: now, &effects)
        case .master(var reign):
            guard !isPreVote, var renewal = reign.renewal, renewal.ballot == reply.ballot,
                reply.isGranted, !renewal.supporters.contains(voter)
            else { return }
            renewal.supporters.append(voter)
            reign.renewal = renewal
            role = .master(reign)
            countSupport(at: now, &effects)
        }
    }

    /// Goes on as soon as a majority of the present members supports what was asked for.
    mutating func countSupport(at now: Instant, _ effects: inout [ElectionEffect]) {
        switch role {
        case .follower: break
        case .candidate(let candidacy):
            guard isMajority(candidacy.supporters) else { return }
            if candidacy.isPreVote {
                askForVotes(at: now, &effects)
            } else {
                becomeMaster(candidacy.ballot, at: now, &effects)
            }
        case .master(let reign):
            guard let renewal = reign.renewal, isMajority(renewal.supporters) else { return }
            continueAsMaster(renewal, at: now, &effects)
        }
    }

    private func isMajority(_ supporters: [NodeID]) -> Bool {
        supporters.count { isPresent($0) } >= majority
    }

    // MARK: - As a voter

    /// Whether this member would vote for the ballot if asked in earnest.
    func wouldVote(for ballot: Ballot, at now: Instant) -> Bool {
        guard ballot.term > record.term || (ballot.term == record.term && isFree(for: ballot.node)),
            record.obeyed.map({ ballot > $0 }) ?? true
        else { return false }
        if Mutant.unseatsMaster.isPlanted { return true }
        if let master {
            // A working master is not unseated; it may renew its own ballot.
            return master.node == ballot.node
        }
        if let rival = liveRival(at: now), rival.node != ballot.node { return false }
        return now >= quietUntil
    }

    private func liveRival(at now: Instant) -> (node: NodeID, heard: Instant)? {
        guard let rival, isPresent(rival.node),
            now - rival.heard < configuration.minimumTimeout
        else { return nil }
        return rival
    }

    private func isFree(for node: NodeID) -> Bool {
        record.vote == nil || record.vote == node || Mutant.votesTwice.isPlanted
    }

    mutating func judge(
        _ ballot: Ballot,
        from sender: NodeID,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        let isGranted = ballot.node == sender && wouldVote(for: ballot, at: now)
        if isGranted {
            learn(term: ballot.term)
            record.vote = ballot.node
            effects.append(.persist(record))
            if master == nil { awaitElection(after: configuration.voteTimeout, &effects) }
            if case .candidate = role { role = .follower }
        }
        let reply = ElectionMessage.VoteReply(
            ballot: ballot,
            isGranted: isGranted,
            term: record.term
        )
        effects.append(.send(.voteReply(reply), to: sender))
    }
}
