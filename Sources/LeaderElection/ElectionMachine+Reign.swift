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
            Reign(
                ballot: ballot,
                began: now,
                leaseEnd: now,
                firstAnswersEnd: now + configuration.lease
            )
        )
        master = ballot
        lastHeartbeat = nil
        inherited = nil
        record.obeyed = ballot
        restampConfiguration(ballot)
        effects.append(.persist(record))
        effects.append(.emit(.elected(ballot)))
        endHandOver(with: ballot, at: now, &effects)
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
        restampConfiguration(renewal.ballot)
        effects.append(.persist(record))
        effects.append(.emit(.renewed(renewal.ballot)))
        sendHeartbeats(at: now, &effects)
    }

    mutating func sendHeartbeats(at now: Instant, _ effects: inout [ElectionEffect]) {
        guard case .master(var reign) = role else { return }
        // Its lists are changed in place only while nobody else holds them.
        role = .follower
        reign.sequence &+= 1
        reign.sent.append((reign.sequence, now))
        // An answer to an older one would not extend the lease.
        reign.sent.removeAll { now - $0.at > configuration.lease }
        let heartbeat = ElectionMessage.Heartbeat(
            ballot: reign.ballot,
            sequence: reign.sequence,
            weight: weight(of: reign, at: now),
            configuration: configuration.policy == .quorum ? record.configuration : nil
        )
        role = .master(reign)
        for member in members where member.node != own {
            effects.append(.send(heartbeat.message(for: member), to: member.node))
        }
        effects.append(.setTimer(.heartbeat, after: configuration.heartbeatInterval))
        renewLease(at: now, &effects)
        tendVoters(at: now, &effects)
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
        // In place, as above.
        role = .follower
        keepHeld(reply, by: member, &reign)
        guard configuration.policy == .quorum || isPresent(member),
            let sent = reign.sent.first(where: { $0.sequence == reply.sequence })
        else {
            role = .master(reign)
            return
        }
        let index = reign.answers.sortedIndex { $0.node < member }
        if index < reign.answers.count, reign.answers[index].node == member {
            reign.answers[index].at = max(reign.answers[index].at, sent.at)
        } else {
            reign.answers.insert((member, sent.at), at: index)
        }
        role = .master(reign)
        renewLease(at: now, &effects)
        tendVoters(at: now, &effects)
    }

    /// The lease lasts from the moment at which the youngest heartbeat was *sent* that a majority
    /// has obeyed.
    mutating func renewLease(at now: Instant, _ effects: inout [ElectionEffect]) {
        guard case .master(var reign) = role else { return }
        if !reign.newcomers.isEmpty {
            reign.newcomers.removeAll { newcomer in
                now - newcomer.since > configuration.newcomerGrace
                    || reign.answers.contains { $0.node == newcomer.node }
            }
            role = .master(reign)
        }
        let majority = majority(without: reign.newcomers.count)
        guard mayExtendLease(of: reign, majority, at: now) else { return }
        var moments = [now]
        moments.reserveCapacity(reign.answers.count + 1)
        for answer in reign.answers where countsForMajority(answer.node) {
            moments.append(answer.at)
        }
        guard moments.count >= majority else { return }
        moments.sort(by: >)
        let end = moments[majority - 1] + configuration.lease
        guard end > reign.leaseEnd else { return }
        reign.leaseEnd = end
        role = .master(reign)
        effects.append(.setTimer(.lease, after: end - now))
    }

    /// Whether so many may have obeyed later than the lease counts from, which most answers in a
    /// large cluster do not change: without sorting, and before it is looked at who counts.
    private func mayExtendLease(of reign: Reign, _ majority: Int, at now: Instant) -> Bool {
        let start = reign.leaseEnd - configuration.lease
        var count = now > start ? 1 : 0
        guard count < majority else { return true }
        guard reign.sent.last.map({ $0.at > start }) ?? true else { return false }
        for answer in reign.answers where answer.at > start {
            count += 1
            if count >= majority { return true }
        }
        return false
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
        let request = ElectionMessage.VoteRequest(ballot, ownConfiguration)
        for member in members where member.node != own {
            effects.append(.send(.voteRequest(request), to: member.node))
        }
        effects.append(.setTimer(.vote, after: configuration.voteTimeout))
        countSupport(at: now, &effects)
    }

    // MARK: - As a follower

    /// - Parameter inBrief: it came as a beat, so that its sender understands `beatObeyed`, too.
    mutating func hear(
        _ heartbeat: ElectionMessage.Heartbeat,
        inBrief: Bool,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        guard isOfThisCluster(heartbeat, at: now, &effects) else { return }
        if case .master(let reign) = role {
            meet(heartbeat, inBrief: inBrief, as: reign, at: now, &effects)
            return
        }
        let ballot = heartbeat.ballot
        if configuration.policy == .quorum, let obeyed = record.obeyed,
            obeyed.term == ballot.term, obeyed.node != ballot.node
        {
            effects.append(.emit(.ballotConflict(ballot)))
        }
        let isObeyed = mayObey(ballot) && !isOutdated(heartbeat)
        if isObeyed {
            obey(heartbeat, at: now, &effects)
        } else if ballot != resignedBallot, isPresent(ballot.node) {
            rival = (ballot.node, now)
        }
        answer(heartbeat, isObeyed: isObeyed, inBrief: inBrief, &effects)
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
        _ heartbeat: ElectionMessage.Heartbeat,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        let ballot = heartbeat.ballot
        if case .candidate = role {
            role = .follower
            effects.append(.cancelTimer(.vote))
        }
        lastHeartbeat = now
        effects.append(.setTimer(.election, after: configuration.minimumTimeout))
        let newVoters = newerConfiguration(in: heartbeat)
        guard master != ballot || newVoters != nil else { return }
        let isNew = master != ballot
        master = ballot
        if record.obeyed != ballot || record.term < ballot.term || newVoters != nil {
            learn(term: ballot.term)
            record.obeyed = ballot
            if let newVoters { record.configuration = newVoters }
            effects.append(.persist(record))
        }
        if isNew { effects.append(.emit(.obeys(ballot))) }
        if let newVoters { effects.append(.emit(.votersChanged(newVoters))) }
        inherited = nil
        if isNew { endHandOver(with: ballot, at: now, &effects) }
        if isLeaving { tendDeparture(at: now, &effects) }
    }

    private func answer(
        _ heartbeat: ElectionMessage.Heartbeat,
        isObeyed: Bool,
        inBrief: Bool,
        _ effects: inout [ElectionEffect]
    ) {
        let held = ownConfiguration
        // A device of no cluster yet has nothing to say that would count.
        guard configuration.policy == .available || held != nil else { return }
        let reply = ElectionMessage.HeartbeatReply(
            ballot: heartbeat.ballot,
            sequence: heartbeat.sequence,
            isObeyed: isObeyed,
            term: record.term,
            configuration: held
        )
        effects.append(.send(reply.message(inBrief: inBrief), to: heartbeat.ballot.node))
        inform(heartbeat.ballot.node, of: heartbeat.configuration?.id, &effects)
    }

    /// Two masters meet: one gives way, and the other makes sure that its ballot is the higher
    /// one.
    ///
    /// Under `available` the one with less to lose gives way. Under `quorum` the lower ballot does:
    /// nobody voted for it any more when the higher one was elected.
    private mutating func meet(
        _ heartbeat: ElectionMessage.Heartbeat,
        inBrief: Bool,
        as reign: Reign,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        let ballot = heartbeat.ballot
        let isAlarming = configuration.policy == .quorum && ballot.term == reign.ballot.term
        guard ballot.node != own, ballot != reign.ballot, !isAlarming else {
            effects.append(.emit(.ballotConflict(ballot)))
            return
        }
        let isStaying =
            switch configuration.policy {
            case .available:
                (weight(of: reign, at: now), reign.ballot) > (heartbeat.weight, ballot)
            case .quorum: reign.ballot > ballot
            }
        if isStaying {
            if ballot > reign.ballot { renewBallot(above: ballot.term, at: now, &effects) }
            answer(heartbeat, isObeyed: false, inBrief: inBrief, &effects)
            return
        }
        switch configuration.policy {
        case .available:
            for member in members where member.node != own {
                effects.append(.send(.resign(reign.ballot), to: member.node))
            }
            depose(.gaveWay, &effects)
        case .quorum: depose(.superseded, &effects)
        }
        hear(heartbeat, inBrief: inBrief, at: now, &effects)
    }
}
