import Primitives

// Probing (SWIM §3.1, §4.3) and local health (Lifeguard §3.1).
extension SWIMMachine {
    /// How much slower this agent goes because it doubts itself.
    private var healthFactor: Int { localHealth + 1 }

    mutating func beginPeriod(at now: Instant, _ effects: inout [SWIMEffect]) {
        effects.append(.setTimer(.period, after: configuration.period * healthFactor))
        guard !isLeaving else { return }
        if let probe { failed(probe, at: now, &effects) }
        probe = nil
        forgetOldTombstones(at: now, &effects)
        guard let target = nextTarget() else { return }
        nextNumber &+= 1
        probe = Probe(number: nextNumber, target: target.id)
        // Buddy system (Lifeguard §3.3): who is suspected hears of it first, so that the very
        // answer carries the refutation.
        let ping = GossipMessage.ping(number: nextNumber, target: target.id)
        send(opinion(of: target.id) + [ping], to: target.endpoint, &effects)
        effects.append(
            .setTimer(
                .probeTimeout(nextNumber),
                after: configuration.probeTimeout * healthFactor
            )
        )
    }

    /// No answer came directly: let others try, and try over a stream at the same time.
    mutating func probeIndirectly(_ number: UInt32, _ effects: inout [SWIMEffect]) {
        guard probe?.number == number, let target = probe.flatMap({ member($0.target) }) else {
            return
        }
        let relays = randomMembers(configuration.indirectProbes) {
            $0.state == .alive && $0.id != target.id
        }
        probe?.silentRelays = relays.map(\.id)
        let request = GossipMessage.pingRequest(
            number: number,
            target: target.id,
            endpoint: target.endpoint
        )
        for relay in relays { send([request], to: relay.endpoint, &effects) }
        effects.append(.streamPing(number: number, target: target.id, to: target.endpoint))
    }

    mutating func answered(_ number: UInt32, _ effects: inout [SWIMEffect]) {
        if probe?.number == number {
            probe = nil
            localHealth = max(0, localHealth - 1)
            effects.append(.cancelTimer(.probeTimeout(number)))
        } else if let index = relayed.firstIndex(where: { $0.number == number }) {
            let relay = relayed.remove(at: index)
            effects.append(.cancelTimer(.relayTimeout(number)))
            send([.ack(number: relay.requestNumber)], to: relay.requester, &effects)
        }
    }

    private mutating func failed(
        _ probe: Probe,
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        // Relays that stayed silent too are evidence against oneself. Without relays there is no
        // evidence either way: memberlist charges itself here, and with two members it grows
        // slower with each real death.
        localHealth = min(
            configuration.localHealthLimit,
            localHealth + probe.silentRelays.count
        )
        guard let target = member(probe.target), target.state.isPresent else { return }
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
    }

    // MARK: - For others

    mutating func relay(
        _ requestNumber: UInt32,
        target: NodeID,
        at endpoint: Endpoint,
        for requester: Endpoint,
        _ effects: inout [SWIMEffect]
    ) {
        guard relayed.count < Self.relayLimit, target != own.id else { return }
        nextNumber &+= 1
        relayed.append(
            RelayedProbe(
                number: nextNumber,
                requestNumber: requestNumber,
                requester: requester
            )
        )
        send([.ping(number: nextNumber, target: target)], to: endpoint, &effects)
        // The nack must be back before the requester's period ends.
        effects.append(
            .setTimer(
                .relayTimeout(nextNumber),
                after: configuration.probeTimeout.scaled(by: 0.8)
            )
        )
    }

    mutating func giveUpRelay(_ number: UInt32, _ effects: inout [SWIMEffect]) {
        guard let index = relayed.firstIndex(where: { $0.number == number }) else { return }
        let relay = relayed.remove(at: index)
        send([.nack(number: relay.requestNumber)], to: relay.requester, &effects)
    }

    // MARK: - Whom to probe

    /// The next present member of the round; a new round is shuffled, so that detection takes at
    /// most about 2n periods (SWIM §4.3).
    private mutating func nextTarget() -> Member? {
        for _ in 0...probeOrder.count {
            if probeIndex >= probeOrder.count {
                probeIndex = 0
                generator.shuffle(&probeOrder)
            }
            guard probeIndex < probeOrder.count else { return nil }
            let candidate = member(probeOrder[probeIndex])
            probeIndex += 1
            if let candidate, candidate.state.isPresent { return candidate }
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
