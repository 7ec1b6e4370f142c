import Primitives

// Being master, and obeying one: heartbeats and leases.
extension ElectionMachine {
    mutating func becomeMaster(
        _ ballot: Ballot,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        effects.append(.cancelTimer(.vote))
        effects.append(.cancelTimer(.election))
        // Votes give no lease: who voted may vote for a later term at once. Only who obeys a
        // heartbeat keeps others waiting.
        role = .master(
            Reign(ballot: ballot, leaseEnd: now, firstAnswersEnd: now + configuration.lease)
        )
        master = ballot
        lastHeartbeat = nil
        record.obeyed = ballot
        effects.append(.persist(record))
        effects.append(.emit(.elected(ballot)))
        effects.append(.setTimer(.lease, after: configuration.lease))
        sendHeartbeats(at: now, &effects)
    }

    /// The same master under a higher ballot: nothing that runs is given up.
    mutating func continueAsMaster(
        _ renewal: Candidacy,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        guard case .master(var reign) = role else { return }
        effects.append(.cancelTimer(.vote))
        reign.ballot = renewal.ballot
        reign.renewal = nil
        reign.sent = []
        role = .master(reign)
        master = renewal.ballot
        record.obeyed = renewal.ballot
        effects.append(.persist(record))
        effects.append(.emit(.renewed(renewal.ballot)))
        sendHeartbeats(at: now, &effects)
    }

    mutating func sendHeartbeats(at now: Instant, _ effects: inout [ElectionEffect]) {
        guard case .master(var reign) = role else { return }
        reign.sequence &+= 1
        reign.sent.append((reign.sequence, now))
        // An answer to an older one would not extend the lease.
        reign.sent.removeAll { now - $0.at > configuration.lease }
        let heartbeat = ElectionMessage.Heartbeat(
            ballot: reign.ballot,
            sequence: reign.sequence,
            weight: weight(of: reign, at: now)
        )
        role = .master(reign)
        for member in members where member.node != own {
            effects.append(.send(.heartbeat(heartbeat), to: member.node))
        }
        effects.append(.setTimer(.heartbeat, after: configuration.heartbeatInterval))
        renewLease(at: now, &effects)
    }

    private func weight(of reign: Reign, at now: Instant) -> MasterWeight {
        let followers = reign.answers.count {
            isPresent($0.node) && now - $0.at <= configuration.lease
        }
        return MasterWeight(
            isServing: isServing,
            followerCount: UInt16(clamping: followers + 1)
        )
    }

    mutating func heartbeatAnswered(
        _ reply: ElectionMessage.HeartbeatReply,
        by member: NodeID,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        guard case .master(var reign) = role, reply.ballot == reign.ballot else { return }
        guard reply.isObeyed else {
            if reply.term > record.term || reply.term >= reign.ballot.term {
                renewBallot(above: reply.term, at: now, &effects)
            }
            return
        }
        guard isPresent(member),
            let sent = reign.sent.first(where: { $0.sequence == reply.sequence })
        else { return }
        let index = reign.answers.firstIndex { $0.node >= member } ?? reign.answers.count
        if index < reign.answers.count, reign.answers[index].node == member {
            reign.answers[index].at = max(reign.answers[index].at, sent.at)
        } else {
            reign.answers.insert((member, sent.at), at: index)
        }
        role = .master(reign)
        renewLease(at: now, &effects)
    }

    /// The lease lasts from the moment at which the youngest heartbeat was *sent* that a majority
    /// has obeyed.
    mutating func renewLease(at now: Instant, _ effects: inout [ElectionEffect]) {
        guard case .master(var reign) = role else { return }
        let moments = ([now] + reign.answers.map(\.at)).sorted(by: >)
        reign.newcomers.removeAll { newcomer in
            now - newcomer.since > configuration.newcomerGrace
                || reign.answers.contains { $0.node == newcomer.node }
        }
        role = .master(reign)
        let majority = (members.count - reign.newcomers.count) / 2 + 1
        guard moments.count >= majority else { return }
        let end = moments[majority - 1] + configuration.lease
        guard end > reign.leaseEnd else { return }
        reign.leaseEnd = end
        role = .master(reign)
        effects.append(.setTimer(.lease, after: end - now))
    }

    func hasLeaseEnded(at now: Instant) -> Bool {
        guard case .master(let reign) = role, !Mutant.leaseNeverEnds.isPlanted else {
            return false
        }
        return now >= max(reign.leaseEnd, reign.firstAnswersEnd)
    }

    mutating func leaseDue(at now: Instant, _ effects: inout [ElectionEffect]) {
        guard case .master(let reign) = role else { return }
        if hasLeaseEnded(at: now) {
            depose(.leaseExpired, &effects)
        } else {
            let rest = max(reign.leaseEnd, reign.firstAnswersEnd) - now
            effects.append(
                .setTimer(.lease, after: rest > .zero ? rest : configuration.lease)
            )
        }
    }

    /// A member knows a later term than ours, without a master behind it that we know of: ask for
    /// votes above it, and go on meanwhile.
    private mutating func renewBallot(
        above term: UInt64,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        guard case .master(var reign) = role, reign.renewal == nil, !hasResigned else { return }
        learn(term: max(term, record.term) + 1)
        record.vote = own
        effects.append(.persist(record))
        let ballot = Ballot(term: record.term, node: own)
        reign.renewal = Candidacy(ballot: ballot, isPreVote: false, supporters: [own])
        role = .master(reign)
        for member in members where member.node != own {
            effects.append(.send(.voteRequest(ballot), to: member.node))
        }
        effects.append(.setTimer(.vote, after: configuration.voteTimeout))
        countSupport(at: now, &effects)
    }

    // MARK: - As a follower

    mutating func hear(
        _ heartbeat: ElectionMessage.Heartbeat,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        if case .master(let reign) = role {
            meet(heartbeat, as: reign, at: now, &effects)
            return
        }
        let ballot = heartbeat.ballot
        let isObeyed = mayObey(ballot)
        if isObeyed {
            obey(ballot, at: now, &effects)
        } else if ballot != resignedBallot, isPresent(ballot.node) {
            rival = (ballot.node, now)
        }
        answer(heartbeat, isObeyed: isObeyed, &effects)
    }

    /// A member stays with the master that it hears; otherwise it obeys any ballot that is not
    /// lower than what it obeyed before.
    private func mayObey(_ ballot: Ballot) -> Bool {
        if let obeyed = record.obeyed, ballot < obeyed, !Mutant.obeysLowerBallot.isPlanted {
            return false
        }
        if let master, master.node != ballot.node { return false }
        // A late heartbeat must not bring back who has given up.
        return ballot != resignedBallot
    }

    private mutating func obey(
        _ ballot: Ballot,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        if case .candidate = role {
            role = .follower
            effects.append(.cancelTimer(.vote))
        }
        lastHeartbeat = now
        effects.append(.setTimer(.election, after: configuration.minimumTimeout))
        guard master != ballot else { return }
        master = ballot
        if record.obeyed != ballot || record.term < ballot.term {
            learn(term: ballot.term)
            record.obeyed = ballot
            effects.append(.persist(record))
        }
        effects.append(.emit(.obeys(ballot)))
    }

    private func answer(
        _ heartbeat: ElectionMessage.Heartbeat,
        isObeyed: Bool,
        _ effects: inout [ElectionEffect]
    ) {
        let reply = ElectionMessage.HeartbeatReply(
            ballot: heartbeat.ballot,
            sequence: heartbeat.sequence,
            isObeyed: isObeyed,
            term: record.term
        )
        effects.append(.send(.heartbeatReply(reply), to: heartbeat.ballot.node))
    }

    /// Two masters meet: the one with less to lose gives way, and the other makes sure that its
    /// ballot is the higher one.
    private mutating func meet(
        _ heartbeat: ElectionMessage.Heartbeat,
        as reign: Reign,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        let ballot = heartbeat.ballot
        guard ballot.node != own, ballot != reign.ballot else {
            effects.append(.emit(.ballotConflict(ballot)))
            return
        }
        let ours = (weight(of: reign, at: now), reign.ballot)
        if ours > (heartbeat.weight, ballot) {
            if ballot > reign.ballot { renewBallot(above: ballot.term, at: now, &effects) }
            answer(heartbeat, isObeyed: false, &effects)
        } else {
            for member in members where member.node != own {
                effects.append(.send(.resign(reign.ballot), to: member.node))
            }
            depose(.gaveWay, &effects)
            hear(heartbeat, at: now, &effects)
        }
    }
}
