import Primitives

// Probes for others (SWIM §3.1).
extension SWIMMachine {
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
                target: target,
                requestNumber: requestNumber,
                requester: requester
            )
        )
        send([.ping(number: nextNumber, target: target)], to: endpoint, &effects)
        // The nack must be back before the requester gives up.
        let timeout = min(directTimeout(of: target), configuration.probeTimeout.scaled(by: 0.8))
        effects.append(.setTimer(.relayTimeout(nextNumber), after: timeout))
    }

    mutating func passOn(_ number: UInt32, _ effects: inout [SWIMEffect]) {
        guard let index = relayed.firstIndex(where: { $0.number == number }) else { return }
        let relay = relayed.remove(at: index)
        effects.append(.cancelTimer(.relayTimeout(number)))
        send([.ack(number: relay.requestNumber)], to: relay.requester, &effects)
    }

    mutating func giveUpRelay(_ number: UInt32, _ effects: inout [SWIMEffect]) {
        guard let index = relayed.firstIndex(where: { $0.number == number }) else { return }
        let relay = relayed.remove(at: index)
        send([.nack(number: relay.requestNumber)], to: relay.requester, &effects)
    }

    /// Its system said that nobody is there: no relay needs to wait for an answer.
    mutating func giveUpRelays(to target: NodeID, _ effects: inout [SWIMEffect]) {
        for relay in relayed where relay.target == target {
            effects.append(.cancelTimer(.relayTimeout(relay.number)))
            giveUpRelay(relay.number, &effects)
        }
    }
}
