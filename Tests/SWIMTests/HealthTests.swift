import Primitives
import Testing

@testable import SWIM

// Indirect probes, nacks and local health (Lifeguard §3.1).
struct HealthTests {
    /// Lets a probe go unanswered until others are asked; its number and the relays.
    private func probeIndirectly(
        _ driven: Driven
    ) -> (number: UInt32, target: NodeID, relays: [NodeID])? {
        _ = driven.handle(.timer(.period))
        guard let probe = driven.machine.probes.first else { return nil }
        _ = driven.handle(.timer(.probeTimeout(probe.number)))
        return (probe.number, probe.target, driven.machine.probes.first?.silentRelays ?? [])
    }

    private func nack(_ number: UInt32, from relay: NodeID) -> SWIMInput {
        .message(.nack(number: number), from: relay, source: Driven.source)
    }

    @Test func `every relay that stays silent charges local health, one that nacks does not`()
        throws
    {
        let driven = Driven(peers: [1, 2, 3, 4, 5])
        let probe = try #require(probeIndirectly(driven))
        #expect(probe.relays.count == 3)
        #expect(!probe.relays.contains(probe.target))
        _ = driven.handle(nack(probe.number, from: probe.relays[0]))
        // The same nack twice, and one of nobody who was asked, count for nothing more.
        _ = driven.handle(nack(probe.number, from: probe.relays[0]))
        _ = driven.handle(nack(probe.number, from: probe.target))
        _ = driven.handle(.timer(.probeFailure(probe.number)))
        #expect(driven.machine.localHealth == 2)
        #expect(driven.machine.member(probe.target)?.state == .suspect)
        #expect(
            driven.handle(.timer(.period)).contains(.setTimer(.period, after: .seconds(3))),
            "the period is stretched"
        )
    }

    @Test func `nobody charges itself for a death that nobody could nack`() throws {
        let driven = Driven(peers: [1])
        let probe = try #require(probeIndirectly(driven))
        #expect(probe.relays.isEmpty)
        _ = driven.handle(.timer(.probeFailure(probe.number)))
        #expect(driven.machine.localHealth == 0)
        #expect(driven.machine.member(probe.target)?.state == .suspect)
    }

    @Test func `local health stays within its bounds and successes bring it down`() {
        let driven = Driven(peers: [1, 2, 3, 4, 5])
        for incarnation in 5..<25 as Range<UInt64> {
            _ = driven.hear(
                MemberUpdate(
                    id: Driven.own,
                    incarnation: incarnation,
                    belief: .suspect(accuser: NodeID(3))
                )
            )
            #expect(0...8 ~= driven.machine.localHealth)
        }
        #expect(driven.machine.localHealth == 8)
        for left in [7, 6, 5, 4, 3, 2, 1, 0, 0] {
            _ = driven.handle(.timer(.period))
            let number = driven.machine.probes.first?.number ?? 0
            _ = driven.handle(
                .message(.ack(number: number), from: NodeID(1), source: Driven.source)
            )
            #expect(driven.machine.localHealth == left)
        }
    }

    @Test func `an answer over a stream and one through a relay clear the probe`() throws {
        for isStream in [true, false] {
            let driven = Driven(peers: [1, 2, 3, 4, 5])
            let probe = try #require(probeIndirectly(driven))
            _ = driven.handle(
                isStream
                    ? .streamAnswered(number: probe.number)
                    : .message(
                        .ack(number: probe.number),
                        from: probe.relays[0],
                        source: Driven.source
                    )
            )
            _ = driven.handle(.timer(.probeFailure(probe.number)))
            #expect(driven.machine.member(probe.target)?.state == .alive)
            #expect(driven.machine.localHealth == 0)
        }
    }

    @Test func `a relay passes the answer on, or says in time that there was none`() throws {
        let driven = Driven(peers: [1, 2])
        let target = Endpoint(address: .v4(0x7F00_0002), port: 7000)
        let request = SWIMInput.message(
            .pingRequest(number: 77, target: NodeID(2), endpoint: target),
            from: NodeID(1),
            source: Driven.source
        )
        func number(_ effects: [SWIMEffect]) -> UInt32? {
            for case .setTimer(.relayTimeout(let number), let after) in effects {
                #expect(after < .milliseconds(500))
                return number
            }
            return nil
        }
        func sent(_ effects: [SWIMEffect]) -> [GossipMessage] {
            effects.flatMap { effect in
                if case .send(let messages, Driven.source) = effect { return messages }
                return []
            }
        }
        let first = try #require(number(driven.handle(request)))
        let acked = driven.handle(
            .message(.ack(number: first), from: NodeID(2), source: target)
        )
        #expect(sent(acked).contains(.ack(number: 77)))
        #expect(driven.handle(.timer(.relayTimeout(first))).isEmpty)

        let second = try #require(number(driven.handle(request)))
        let nacked = driven.handle(.timer(.relayTimeout(second)))
        #expect(sent(nacked).contains(.nack(number: 77)))
        #expect(driven.machine.relayed.isEmpty)
        for _ in 0..<200 { _ = driven.handle(request) }
        #expect(driven.machine.relayed.count == SWIMMachine.relayLimit)
    }

    @Test func `a probe that was meant for somebody else is not answered`() {
        let driven = Driven()
        let ping = GossipMessage.ping(number: 1, target: NodeID(55))
        #expect(
            driven.handle(.message(ping, from: Driven.peer, source: Driven.source)).isEmpty
        )
    }
}
