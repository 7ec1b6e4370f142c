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
        guard mayStand else { return }
        effects.append(.setTimer(.election, after: grace + electionDelay()))
    }

    mutating func electionDelay() -> Duration {
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
                loseMaster(.silent, &effects)
            }
            return
        }
        guard mayStand else { return }
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
        let request = ElectionMessage.VoteRequest(ballot, ownConfiguration)
        for member in members where member.node != own {
            effects.append(.send(.preVoteRequest(request), to: member.node))
        }
        effects.append(.setTimer(.vote, after: configuration.voteTimeout))
        countSupport(at: now, &effects)
    }

    mutating func askForVotes(at now: Instant, _ effects: inout [ElectionEffect]) {
        let ballot = Ballot(term: record.term + 1, node: own)
        learn(term: ballot.term)
        record.vote = own
        effects.append(.persist(record))
        role = .candidate(Candidacy(ballot: ballot, isPreVote: false, supporters: [own]))
        let request = ElectionMessage.VoteRequest(ballot, ownConfiguration)
        for member in members where member.node != own {
            ask(member.node, for: request, at: now, &effects)
        }
        effects.append(.setTimer(.vote, after: configuration.voteTimeout))
        countSupport(at: now, &effects)
    }

    private func ask(
        _ voter: NodeID,
        for request: ElectionMessage.VoteRequest,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        // Who has not heard that the old master gave up would refuse.
        if let inherited, now < inherited.until {
            let word = ElectionMessage.HandOver(ballot: inherited.ballot, target: own)
            effects.append(.send(.handOver(word), to: voter))
        }
        effects.append(.send(.voteRequest(request), to: voter))
    }

    mutating func voteEnded(at now: Instant, _ effects: inout [ElectionEffect]) {
        switch role {
        case .follower: break
        case .candidate:
            role = .follower
            if let inherited, now < inherited.until {
                effects.append(.setTimer(.election, after: Self.heirRetryDelay))
            } else {
                awaitElection(&effects)
            }
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
                !candidacy.supporters.contains(voter)
            else { return }
            guard reply.isGranted else {
                askAgain(voter, &candidacy, at: now, &effects)
                return
            }
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

    /// Networks change the order of datagrams: a voter that refuses may have heard the request for
    /// its vote before the word that its master has handed over.
    private mutating func askAgain(
        _ voter: NodeID,
        _ candidacy: inout Candidacy,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        guard !candidacy.isPreVote, let inherited, now < inherited.until,
            !candidacy.askedAgain.contains(voter)
        else { return }
        candidacy.askedAgain.append(voter)
        role = .candidate(candidacy)
        let request = ElectionMessage.VoteRequest(candidacy.ballot, ownConfiguration)
        ask(voter, for: request, at: now, &effects)
    }

    private static let heirRetryDelay: Duration = .milliseconds(50)

    /// Goes on as soon as a majority supports what was asked for.
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

    // MARK: - As a voter

    /// Whether this member would vote for the ballot if asked in earnest.
    func wouldVote(for request: ElectionMessage.VoteRequest, at now: Instant) -> Bool {
        let ballot = request.ballot
        guard ballot.term > record.term || (ballot.term == record.term && isFree(for: ballot.node)),
            record.obeyed.map({ ballot > $0 }) ?? true,
            allowsConfiguration(of: request)
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
        _ request: ElectionMessage.VoteRequest,
        from sender: NodeID,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        let ballot = request.ballot
        let isGranted = ballot.node == sender && wouldVote(for: request, at: now)
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
        inform(sender, of: request.configuration, &effects)
    }
}
