import Primitives
import Testing

@testable import SWIM

/// One machine that is driven by hand.
final class Driven {
    var machine: SWIMMachine
    var now = Instant.origin

    static let own = NodeID(100)
    static let peer = NodeID(7)
    static let source = Endpoint(address: .v4(0x7F00_0007), port: 7000)

    init(peers: [UInt64] = []) {
        machine = SWIMMachine(
            id: Self.own,
            endpoint: Endpoint(address: .v4(0x7F00_0001), port: 7000),
            incarnation: 5,
            facts: DeviceFacts(name: "own"),
            seed: 1
        )
        _ = handle(.start(seeds: []))
        for peer in peers { _ = hear(Self.alive(peer)) }
    }

    static func alive(_ id: UInt64, incarnation: UInt64 = 1, version: UInt32 = 0) -> MemberUpdate {
        MemberUpdate(
            id: NodeID(UInt128(id)),
            incarnation: incarnation,
            belief: .alive(
                endpoint: Endpoint(address: .v4(0x7F00_0000 + UInt32(id)), port: 7000),
                factsVersion: version,
                facts: DeviceFacts(name: "\(id).\(incarnation).\(version)")
            )
        )
    }

    func handle(_ input: SWIMInput) -> [SWIMEffect] {
        var effects: [SWIMEffect] = []
        machine.handle(input, at: now, effects: &effects)
        return effects
    }

    func hear(_ update: MemberUpdate) -> [SWIMEffect] {
        handle(.message(.update(update), from: Self.peer, source: Self.source))
    }
}

struct RefutationTests {
    @Test(arguments: [
        MemberUpdate.Belief.suspect(accuser: NodeID(3)), .dead(accuser: NodeID(3)), .left,
    ])
    func `what others say against a member it refutes by a higher incarnation, on disk first`(
        belief: MemberUpdate.Belief
    ) {
        let driven = Driven()
        let effects = driven.hear(
            MemberUpdate(id: Driven.own, incarnation: 8, belief: belief)
        )
        #expect(effects.first == .persist(incarnation: 9))
        #expect(effects.contains(.emit(.refuted(incarnation: 9))))
        #expect(driven.machine.own.state == .alive)
        #expect(driven.machine.localHealth == 1)
    }

    @Test func `an accusation of an earlier incarnation is answered, but charges nothing`() {
        let driven = Driven(peers: [7])
        _ = driven.handle(.timer(.gossip))
        driven.machine.queue = GossipQueue()
        let effects = driven.hear(
            MemberUpdate(
                id: Driven.own,
                incarnation: 4,
                belief: .dead(accuser: NodeID(3))
            )
        )
        #expect(!effects.contains(.emit(.refuted(incarnation: 6))))
        #expect(driven.machine.own.incarnation == 5)
        #expect(driven.machine.localHealth == 0)
        #expect(!driven.machine.queue.isEmpty, "the accuser must hear that it is wrong")
    }

    @Test func `one's own words of an earlier life are outbid, an echo is not`() {
        let driven = Driven()
        let own = driven.machine.fullState[0]
        #expect(driven.hear(own).isEmpty)
        #expect(driven.machine.own.incarnation == 5)
        var earlier = Driven.alive(100, incarnation: 12)
        earlier.id = Driven.own
        _ = driven.hear(earlier)
        #expect(driven.machine.own.incarnation == 13)
        #expect(driven.machine.localHealth == 0)
    }

    @Test func `who leaves refutes nothing any more`() {
        let driven = Driven(peers: [7])
        _ = driven.handle(.leave)
        let suspicion = MemberUpdate(
            id: Driven.own,
            incarnation: 5,
            belief: .suspect(accuser: NodeID(3))
        )
        #expect(driven.hear(suspicion).isEmpty)
    }

    @Test func `who hears of a suspicion looks, says why, and the answer carries the refutation`() {
        let accuser = Driven(peers: [7])
        let heard = accuser.hear(
            MemberUpdate(
                id: Driven.peer,
                incarnation: 1,
                belief: .suspect(accuser: NodeID(3))
            )
        )
        var probe: [GossipMessage] = []
        for case .send(let messages, _) in heard { probe = messages }
        var suspect = SWIMMachine(
            id: Driven.peer,
            endpoint: Driven.source,
            incarnation: 1,
            facts: DeviceFacts(name: "7"),
            seed: 3
        )
        var effects: [SWIMEffect] = []
        suspect.handle(.start(seeds: []), at: .origin, effects: &effects)
        for message in probe {
            suspect.handle(
                .message(message, from: Driven.own, source: accuser.machine.own.endpoint),
                at: .origin,
                effects: &effects
            )
        }
        var answer: [GossipMessage] = []
        for case .send(let messages, _) in effects { answer = messages }
        #expect(suspect.own.incarnation == 2)
        for message in answer {
            _ = accuser.handle(.message(message, from: Driven.peer, source: Driven.source))
        }
        #expect(accuser.machine.member(Driven.peer)?.state == .alive)
    }

    @Test func `a death that a sync tells of is doubted first`() {
        let driven = Driven(peers: [7, 8])
        let effects = driven.handle(
            .synced([
                MemberUpdate(id: NodeID(8), incarnation: 1, belief: .dead(accuser: NodeID(3)))
            ])
        )
        #expect(driven.machine.member(NodeID(8))?.state == .suspect)
        #expect(
            effects.contains { effect in
                if case .setTimer(.suspicion(NodeID(8)), _) = effect { return true }
                return false
            }
        )
    }

    @Test func `a sync that tells of a later death makes no ghost of who is dead here, too`() {
        let driven = Driven(peers: [7, 8])
        _ = driven.hear(
            MemberUpdate(id: NodeID(8), incarnation: 1, belief: .dead(accuser: NodeID(3)))
        )
        _ = driven.handle(
            .synced([
                MemberUpdate(id: NodeID(8), incarnation: 2, belief: .dead(accuser: NodeID(3)))
            ])
        )
        #expect(driven.machine.member(NodeID(8))?.state == .dead)
        #expect(driven.machine.member(NodeID(8))?.incarnation == 2)
    }

    @Test func `old gossip revives no tombstone, and a higher incarnation does`() {
        let driven = Driven(peers: [7, 8])
        _ = driven.hear(
            MemberUpdate(id: NodeID(8), incarnation: 1, belief: .dead(accuser: NodeID(3)))
        )
        let old = [
            Driven.alive(8), Driven.alive(8, incarnation: 1, version: 4),
            MemberUpdate(id: NodeID(8), incarnation: 1, belief: .suspect(accuser: NodeID(9))),
        ]
        for update in old { _ = driven.hear(update) }
        _ = driven.handle(.synced(old))
        #expect(driven.machine.member(NodeID(8))?.state == .dead)
        let effects = driven.hear(Driven.alive(8, incarnation: 2))
        #expect(driven.machine.member(NodeID(8))?.state == .alive)
        #expect(
            effects.contains { effect in
                if case .emit(.joined) = effect { return true }
                return false
            }
        )
    }

    @Test func `old words of a member that was never met do not revive it either`() {
        let driven = Driven()
        _ = driven.hear(
            MemberUpdate(id: NodeID(8), incarnation: 3, belief: .dead(accuser: NodeID(3)))
        )
        #expect(driven.machine.member(NodeID(8)) == nil)
        let effects = driven.hear(Driven.alive(8, incarnation: 3))
        #expect(effects.isEmpty)
        #expect(driven.machine.member(NodeID(8))?.state == .dead)
        #expect(driven.machine.presentCount == 1)
    }
}
