import Primitives

// Who votes, as the master decides it under the policy `quorum`.
extension ElectionMachine {
    /// Keeps account of which configuration a member has stored.
    func keepHeld(
        _ reply: ElectionMessage.HeartbeatReply,
        by member: NodeID,
        _ reign: inout Reign
    ) {
        guard let id = reply.configuration else { return }
        let index = reign.held.firstIndex { $0.node >= member } ?? reign.held.count
        if index < reign.held.count, reign.held[index].node == member {
            // Answers overtake each other.
            guard !reign.held[index].id.isNewer(than: id) else { return }
            reign.held[index] = (member, id, reply.term)
        } else {
            reign.held.insert((member, id, reply.term), at: index)
        }
    }

    func holds(_ node: NodeID, _ configuration: VoterConfiguration, _ reign: Reign) -> Bool {
        node == own
            || reign.held.contains {
                $0.node == node && $0.id == configuration.id && $0.term == reign.ballot.term
            }
    }

    /// Whether a majority of the voters has stored the configuration, and knows of no later term:
    /// only then may the next one follow.
    func isHeld(_ configuration: VoterConfiguration, _ reign: Reign) -> Bool {
        guard !Mutant.changesVotersAtOnce.isPlanted else { return true }
        return configuration.id.term == reign.ballot.term
            && configuration.voters.count(where: { holds($0, configuration, reign) })
                >= configuration.majority
    }

    /// Changes the voters by one, if they are not those that the master wants.
    mutating func tendVoters(at now: Instant, _ effects: inout [ElectionEffect]) {
        guard configuration.policy == .quorum, case .master(let reign) = role,
            reign.renewal == nil, now < reign.leaseEnd, let current = record.configuration,
            isHeld(current, reign)
        else { return }
        for node in reign.leaving where !current.contains(node) {
            effects.append(.send(.release(reign.ballot), to: node))
        }
        guard let voters = nextVoters(after: current, reign, at: now) else { return }
        let next = current.next(voters: voters, term: reign.ballot.term)
        record.configuration = next
        effects += [.persist(record), .emit(.votersChanged(next))]
        sendHeartbeats(at: now, &effects)
    }

    /// The voters after the next change; nil if none is needed, or none is possible now.
    private func nextVoters(
        after current: VoterConfiguration,
        _ reign: Reign,
        at now: Instant
    ) -> [NodeID]? {
        let wanted = wantedVoters(current, reign, at: now)
        var choices: [[NodeID]] = []
        let missing = wanted.filter { !current.contains($0) }
        if current.voters.count < VoterConfiguration.voterLimit, !missing.isEmpty {
            // Whoever is to become a voter stores the present configuration first, in a moment.
            choices = missing.filter { holds($0, current, reign) }.map { current.voters + [$0] }
            guard !choices.isEmpty else { return nil }
        }
        let superfluous = current.voters.filter { !wanted.contains($0) }
        // Whom nobody would miss goes first.
        for isAnswering in [false, true] {
            for node in superfluous where answersNow(node, reign, at: now) == isAnswering {
                choices.append(current.voters.filter { $0 != node })
            }
        }
        if Mutant.changesVotersAtOnce.isPlanted, wanted.sorted() != current.voters {
            return wanted
        }
        // Never into a configuration that has no majority at this moment.
        return choices.first { voters in
            voters.count { answersNow($0, reign, at: now) } > voters.count / 2
        }
    }

    /// Whom the master wants as voters: an odd number, at most five; the best first.
    private func wantedVoters(
        _ current: VoterConfiguration,
        _ reign: Reign,
        at now: Instant
    ) -> [NodeID] {
        let outsiders = members.map(\.node).filter { node in
            !current.contains(node) && answersNow(node, reign, at: now)
                && (isSteady(node, at: now) || node == transfer?.target)
        }
        let staying = current.voters.filter { !reign.leaving.contains($0) || $0 == own }
        let present = staying.filter { !isAbsent($0, reign, at: now) }
        var pool = ordered(
            present + outsiders.filter { !reign.leaving.contains($0) },
            current
        )
        if pool.count < 3 {
            // Absence alone does not make a cluster smaller than three.
            pool += staying.filter { !pool.contains($0) }
            if current.voters.count >= 3, staying.count < current.voters.count,
                present.count < staying.count
            {
                return pool
            }
        }
        let limit = VoterConfiguration.voterLimit
        var size = min(limit, pool.count - (1 - pool.count % 2))
        // Mastership can only be handed over to a voter.
        if let transfer, pool.contains(transfer.target) { size = max(size, 2) }
        return Array(pool.prefix(size))
    }

    /// The master first, then whom it hands over to, then mains power, then who votes already,
    /// then who has been up for longer.
    private func ordered(_ nodes: [NodeID], _ current: VoterConfiguration) -> [NodeID] {
        func rank(_ node: NodeID) -> (Int, Int, Int, Int) {
            let standing = members.first { $0.node == node }
            return (
                node == own ? 0 : node == transfer?.target ? 1 : 2,
                standing?.isOnMains == true ? 0 : 1, current.contains(node) ? 0 : 1,
                -Int(standing?.uptime.rawValue ?? 0)
            )
        }
        return nodes.sorted { first, second in
            let (left, right) = (rank(first), rank(second))
            return left == right ? first > second : left < right
        }
    }

    // MARK: - Who is there

    func answersNow(_ node: NodeID, _ reign: Reign, at now: Instant) -> Bool {
        node == own
            || reign.answers.contains { $0.node == node && now - $0.at <= configuration.lease }
    }

    private func isAbsent(_ node: NodeID, _ reign: Reign, at now: Instant) -> Bool {
        guard node != own else { return false }
        let last = reign.answers.first { $0.node == node }?.at ?? reign.began
        return now - last >= configuration.absenceLimit
    }

    private func isSteady(_ node: NodeID, at now: Instant) -> Bool {
        presentSince.contains { $0.node == node && now - $0.at >= configuration.steadyTime }
    }
}
