import Primitives

// Probing (SWIM §3.1, §4.3).
extension SWIMMachine {
    mutating func beginPeriod(at now: Instant, _ effects: inout [SWIMEffect]) {
        isResting = isQuiet
        let factor = healthFactor * quietFactor
        effects.append(.setTimer(.period, after: configuration.period * factor))
        guard !isLeaving else { return }
        forgetOldTombstones(at: now, &effects)
        guard let target = nextTarget() else { return }
        probe(target, at: now, &effects)
    }

    /// Pings a member, unless it is being probed already.
    mutating func probe(_ id: NodeID, at now: Instant, _ effects: inout [SWIMEffect]) {
        guard probes.count < Self.probeLimit, !probes.contains(where: { $0.target == id }),
            let endpoint = id == own.id ? own.endpoint : others.endpoint(of: id), !isLeaving
        else { return }
        nextNumber &+= 1
        probes.append(Probe(number: nextNumber, target: id, sentAt: now))
        // Who is suspected hears of it first, so that the very answer carries the refutation.
        let ping = GossipMessage.ping(number: nextNumber, target: id)
        send(held(against: id) + ownDigest(for: id) + [ping], to: endpoint, &effects)
        effects.append(
            .setTimer(.probeTimeout(nextNumber), after: directTimeout(of: id) * healthFactor)
        )
    }

    /// How long the answer to a ping may take.
    func directTimeout(of id: NodeID) -> Duration {
        guard configuration.parts.followsRoundTrips, let roundTrip = contact(with: id)?.roundTrip
        else { return configuration.probeTimeout }
        return min(
            configuration.probeTimeoutLimit,
            max(configuration.probeTimeoutFloor, roundTrip.timeout)
        )
    }

    /// No answer came: the ping may have been lost, or its target's system refuses it by now.
    mutating func pingAgain(_ number: UInt32, _ effects: inout [SWIMEffect]) {
        guard configuration.parts.usesEvidence,
            let probe = probes.first(where: { $0.number == number }), !probe.isIndirect,
            let endpoint = others.endpoint(of: probe.target)
        else { return }
        send([.ping(number: number, target: probe.target)], to: endpoint, &effects)
    }

    /// No answer came directly: let others try, and try over a stream at the same time.
    mutating func probeIndirectly(_ number: UInt32, _ effects: inout [SWIMEffect]) {
        guard let index = probes.firstIndex(where: { $0.number == number }),
            !probes[index].isIndirect, let target = member(probes[index].target)
        else { return }
        let relays = randomMembers(configuration.indirectProbes) {
            $0.state == .alive && $0.id != target.id
        }
        probes[index].isIndirect = true
        probes[index].silentRelays = relays.map(\.id)
        let request = GossipMessage.pingRequest(
            number: number,
            target: target.id,
            endpoint: target.endpoint
        )
        for relay in relays { send([request], to: relay.endpoint, &effects) }
        effects.append(.streamPing(number: number, target: target.id, to: target.endpoint))
        effects.append(
            .setTimer(.probeFailure(number), after: configuration.probeTimeout * healthFactor)
        )
    }

    /// - Parameter sender: who sent the answer; nil if it came over a stream.
    mutating func answered(
        _ number: UInt32,
        from sender: NodeID?,
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        guard let probe = endProbe(number, &effects) else {
            passOn(number, &effects)
            return
        }
        localHealth = max(0, localHealth - 1)
        let isLate = probe.isIndirect && now - probe.sentAt >= directTimeout(of: probe.target)
        lateShare = lateShare * 0.95 + (isLate ? 0.05 : 0)
        if probe.isOvertaken { self.probe(probe.target, at: now, &effects) }
        guard sender == probe.target else { return }
        updateContact(probe.target) { contact in
            let sample = now - probe.sentAt
            if contact.roundTrip == nil {
                contact.roundTrip = RoundTrip(first: sample)
            } else {
                contact.roundTrip?.add(sample)
            }
        }
    }

    mutating func nacked(
        _ number: UInt32,
        by relay: NodeID,
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        guard let index = probes.firstIndex(where: { $0.number == number }),
            let place = probes[index].silentRelays.firstIndex(of: relay)
        else { return }
        probes[index].silentRelays.remove(at: place)
        probes[index].nackers.append(relay)
        failEarly(index, at: now, &effects)
    }

    mutating func endProbe(_ number: UInt32, _ effects: inout [SWIMEffect]) -> Probe? {
        guard let index = probes.firstIndex(where: { $0.number == number }) else { return nil }
        effects.append(.cancelTimer(.probeTimeout(number)))
        effects.append(.cancelTimer(.probeFailure(number)))
        return probes.remove(at: index)
    }

    /// Who is to be looked at after a probe whose relays were silent: these, if anybody was heard
    /// meanwhile.
    ///
    /// Otherwise this agent is cut off: in a small cluster all are looked at, to be done with it
    /// soon. In a large one that would only make accusations: it goes on as ever.
    private func missed(by probe: Probe) -> [NodeID] {
        guard probe.nackers.isEmpty,
            !probe.silentRelays.contains(where: { wasHeard($0, since: probe.sentAt) })
        else { return probe.silentRelays }
        guard presentCount <= configuration.allPairsLimit else { return [] }
        return others.filter {
            $0.state == .alive && $0.id != probe.target && !wasHeard($0.id, since: probe.sentAt)
        }
        .map(\.id)
    }

    private mutating func look(
        atSilent relay: NodeID,
        _ probe: Probe,
        _ now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        guard !probes.contains(where: { $0.target == relay }) else { return }
        self.probe(relay, at: now, &effects)
        guard !wasHeard(relay, since: probe.sentAt), let number = probes.last?.number,
            probes.last?.target == relay
        else { return }
        probeIndirectly(number, &effects)
    }

    /// Nobody reached the target.
    mutating func failed(
        _ number: UInt32,
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        guard let probe = endProbe(number, &effects) else { return }
        if probe.silentRelays.isEmpty {
            if probe.nackers.isEmpty, !configuration.parts.chargesOnlyOnEvidence { charge(1) }
        } else {
            // They are looked at themselves, all of them rather than one a period: who is not heard
            // at all is missed already, so that others are asked at once. Only then is this
            // agent's haste lowered.
            if configuration.parts.usesEvidence, now >= accusesFrom {
                for id in missed(by: probe) { look(atSilent: id, probe, now, &effects) }
            }
            // Relays that stayed silent too are evidence against oneself. Without relays there
            // is no evidence either way.
            charge(probe.silentRelays.count)
        }
        guard now >= accusesFrom, let target = member(probe.target), target.state.isPresent else {
            return
        }
        merge(
            MemberUpdate(
                id: target.id,
                incarnation: target.incarnation
                    + (Mutant.raisesOthersIncarnation.isPlanted ? 1 : 0),
                belief: .suspect(accuser: own.id)
            ),
            at: now,
            &effects
        )
        judge(probe, at: now, &effects)
    }

    // MARK: - Whom to probe

    /// The next present member of the round; a new round is shuffled, so that detection takes at
    /// most about 2n periods (SWIM §4.3).
    private mutating func nextTarget() -> NodeID? {
        for _ in 0...probeOrder.count {
            if probeIndex >= probeOrder.count {
                probeIndex = 0
                generator.shuffle(&probeOrder)
            }
            guard probeIndex < probeOrder.count else { return nil }
            let candidate = probeOrder[probeIndex]
            probeIndex += 1
            if state(of: candidate)?.isPresent == true { return candidate }
        }
        return nil
    }

    /// A new member is probed at a random place of the current round.
    mutating func addToRound(_ id: NodeID) {
        let index = generator.below(probeOrder.count + 1)
        probeOrder.insert(id, at: index)
        if index < probeIndex { probeIndex += 1 }
    }

    mutating func removeFromRound(_ id: NodeID) {
        guard let index = probeOrder.firstIndex(of: id) else { return }
        probeOrder.remove(at: index)
        if index < probeIndex { probeIndex -= 1 }
    }
}
