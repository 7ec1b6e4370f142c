import Primitives
import Testing

@testable import SWIM

/// A device that changes its network.
struct AddressTests {
    private static let new = Endpoint(address: .v4(0x0A00_0005), port: 7000)

    @Test func `a new address is told under a new incarnation, on disk first`() throws {
        let driven = Driven(peers: [7])
        let effects = driven.handle(.moved(to: Self.new))
        #expect(driven.machine.own.endpoint == Self.new)
        #expect(driven.machine.own.incarnation == 6)
        let persisted = try #require(effects.firstIndex(of: .persist(incarnation: 6)))
        let compares = try #require(
            effects.firstIndex { if case .sync = $0 { true } else { false } }
        )
        #expect(persisted < compares)
        let own = driven.machine.fullState.first { $0.id == Driven.own }
        #expect(own?.incarnation == 6)
        guard case .alive(let endpoint, let version, _) = own?.belief else {
            Issue.record("it does not say that it is alive")
            return
        }
        #expect(endpoint == Self.new && version == 0)
    }

    @Test func `others take the new address, and no old word takes it back`() {
        let mover = Driven(peers: [7])
        let before = mover.machine.fullState
        _ = mover.handle(.moved(to: Self.new))
        let after = mover.machine.fullState
        for orders in [[before, after], [after, before]] {
            let other = Driven(peers: [8])
            other.machine.own = Member(
                id: NodeID(8),
                endpoint: Driven.source,
                incarnation: 1,
                facts: DeviceFacts(name: "other")
            )
            for state in orders { _ = other.handle(.synced(state)) }
            #expect(other.machine.member(Driven.own)?.endpoint == Self.new)
            #expect(other.machine.member(Driven.own)?.state == .alive)
        }
    }

    @Test func `an echo of the old address is no reason for another incarnation`() {
        let driven = Driven(peers: [7])
        let echo = driven.machine.fullState.filter { $0.id == Driven.own }
        _ = driven.handle(.moved(to: Self.new))
        for update in echo { _ = driven.hear(update) }
        #expect(driven.machine.own.incarnation == 6)
    }

    @Test func `a suspicion that began because of the move is refuted by it`() {
        let other = Driven(peers: [9])
        _ = other.hear(
            MemberUpdate(
                id: NodeID(9),
                incarnation: 1,
                belief: .suspect(accuser: Driven.peer)
            )
        )
        #expect(other.machine.member(NodeID(9))?.state == .suspect)
        _ = other.hear(
            MemberUpdate(
                id: NodeID(9),
                incarnation: 2,
                belief: .alive(
                    endpoint: Self.new,
                    factsVersion: 0,
                    facts: DeviceFacts(name: "moved")
                )
            )
        )
        #expect(other.machine.member(NodeID(9))?.state == .alive)
        #expect(other.machine.member(NodeID(9))?.endpoint == Self.new)
    }

    @Test func `the same address again is no news, and who leaves does not move`() {
        let driven = Driven(peers: [7])
        #expect(driven.handle(.moved(to: driven.machine.own.endpoint)) == [])
        _ = driven.handle(.leave)
        #expect(driven.handle(.moved(to: Self.new)) == [])
    }

    @Test func `sides that were apart for longer than tombstones last meet again`() {
        var configuration = SWIMConfiguration()
        configuration.tombstoneTimeout = .seconds(60)
        let cluster = SWIMCluster(count: 4, seed: 5, configuration: configuration)
        cluster.startAll()
        cluster.run(for: .seconds(30))
        cluster.passes = { from, to, _ in (from < 2) == (to < 2) }
        // The far side has forgotten the near one, and the near one the far one.
        cluster.nodes[2].machine.seeds = []
        cluster.nodes[3].machine.seeds = []
        cluster.run(for: .seconds(300))
        #expect(cluster.nodes.allSatisfy { $0.machine.others.count == 1 })
        cluster.passes = { _, _, _ in true }
        let met = cluster.run(for: .seconds(120)) { cluster in
            cluster.nodes.allSatisfy { $0.machine.presentCount == 4 }
        }
        #expect(met != nil)
        cluster.run(for: .seconds(60))
        #expect(cluster.nodes.allSatisfy { $0.machine.presentCount == 4 })
    }

    @Test func `there is an end to how many lost members are asked for`() {
        let driven = Driven()
        var effects: [SWIMEffect] = []
        for number in 0..<100 as Range<UInt32> {
            driven.machine.seek(Endpoint(address: .v4(number), port: 1), &effects)
        }
        #expect(driven.machine.lost.count == SWIMMachine.lostLimit)
        #expect(driven.machine.lost.last?.address == .v4(99))
        #expect(effects.count == 1)
    }
}
