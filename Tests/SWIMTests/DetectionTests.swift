import Primitives
import Testing

@testable import SWIM

struct DetectionTests {
    @Test(arguments: [3, 5, 8, 12])
    func `a killed member is dead everywhere in time and nobody else is accused`(count: Int) {
        for seed in 0..<5 as Range<UInt64> {
            let cluster = SWIMCluster(count: count, seed: seed)
            cluster.startAll()
            cluster.run(for: .seconds(8))
            let victim = Int(seed) % count
            cluster.kill(victim)
            let time = cluster.run(for: .seconds(120)) { $0.isGone(victim) }
            // Everybody suspects the victim within a round, so that the suspicion is short.
            let bound = Duration.seconds(2 * count + 1 + 5 + 3)
            #expect((time ?? .seconds(999)) < bound, "seed \(seed): \(String(describing: time))")
            #expect(cluster.deaths { $0 != SWIMCluster.id(victim) }.isEmpty, "seed \(seed)")
            #expect(cluster.suspicions { $0 != SWIMCluster.id(victim) } == 0, "seed \(seed)")
        }
    }

    @Test func `with two members the detection time does not grow from death to death`() {
        for seed in 0..<4 as Range<UInt64> {
            let cluster = SWIMCluster(count: 2, seed: seed)
            cluster.startAll()
            cluster.run(for: .seconds(5))
            for round in 1...6 {
                cluster.kill(1)
                let time = cluster.run(for: .seconds(60)) { $0.isGone(1) }
                // A period until the probe, one until it has failed, the suspicion.
                #expect((time ?? .seconds(99)) < .seconds(6.2), "seed \(seed), round \(round)")
                #expect(cluster.nodes[0].machine.localHealth == 0)
                cluster.start(1)
                cluster.run(for: .seconds(6))
                #expect(cluster.allAgree, "seed \(seed), round \(round)")
            }
        }
    }

    @Test func `lost datagrams kill nobody`() {
        for seed in 0..<2 as Range<UInt64> {
            let cluster = SWIMCluster(count: 6, seed: seed)
            cluster.loss = 0.2
            cluster.startAll()
            cluster.run(for: .seconds(200))
            #expect(cluster.deaths { _ in true }.isEmpty, "seed \(seed)")
            #expect(cluster.streamPingCount > 0)
            #expect(cluster.nodes.allSatisfy { 0...8 ~= $0.machine.localHealth })
        }
    }

    @Test func `whom only others reach stays alive`() {
        for seed in 0..<2 as Range<UInt64> {
            let cluster = SWIMCluster(count: 5, seed: seed)
            cluster.startAll()
            cluster.run(for: .seconds(5))
            cluster.passes = { from, to, _ in !((from, to) == (1, 3) || (from, to) == (3, 1)) }
            cluster.run(for: .seconds(120))
            #expect(cluster.allAgree, "seed \(seed)")
            #expect(cluster.suspicions { _ in true } == 0, "seed \(seed)")
        }
    }

    @Test func `a network that drops all datagrams is not death`() {
        let cluster = SWIMCluster(count: 4, seed: 2)
        cluster.startAll()
        cluster.run(for: .seconds(5))
        cluster.passes = { _, _, channel in channel == .stream }
        cluster.run(for: .seconds(200))
        #expect(cluster.allAgree)
        #expect(cluster.deaths { _ in true }.isEmpty)
    }

    @Test func `a member that can send but not receive is dead, and comes back when it hears`() {
        let cluster = SWIMCluster(count: 5, seed: 4)
        cluster.startAll()
        cluster.run(for: .seconds(5))
        cluster.passes = { _, to, _ in to != 2 }
        let time = cluster.run(for: .seconds(100)) { cluster in
            [0, 1, 3, 4].allSatisfy { cluster.state(of: 2, seenBy: $0) == .dead }
        }
        #expect(time != nil)
        #expect(
            cluster.nodes[2].machine.localHealth > 0,
            "it must doubt itself: nobody nacks"
        )
        cluster.passes = { _, _, _ in true }
        #expect(cluster.run(for: .seconds(60)) { $0.allAgree } != nil)
    }

    @Test func `a restarted member takes part at once under a higher incarnation`() {
        for seed in 0..<4 as Range<UInt64> {
            let cluster = SWIMCluster(count: 4, seed: seed)
            cluster.startAll()
            cluster.run(for: .seconds(6))
            cluster.kill(2)
            // Sometimes before its death was noticed, sometimes after.
            cluster.run(for: .seconds(seed % 2 == 0 ? 1 : 30))
            cluster.forgetEvents()
            cluster.start(2)
            let time = cluster.run(for: .seconds(20)) { $0.allAgree }
            #expect(time != nil, "seed \(seed)")
            #expect(cluster.nodes[2].machine.own.incarnation >= 2)
            cluster.run(for: .seconds(60))
            #expect(cluster.deaths { _ in true }.isEmpty, "seed \(seed)")
        }
    }

    @Test func `many deaths at once are all noticed, and the living stay`() {
        let cluster = SWIMCluster(count: 12, seed: 8)
        cluster.startAll()
        cluster.run(for: .seconds(8))
        for victim in 6..<12 { cluster.kill(victim) }
        let time = cluster.run(for: .seconds(90)) { $0.agree(Array(0..<6)) }
        #expect(time != nil)
        #expect(cluster.deaths { $0 < SWIMCluster.id(6) }.isEmpty)
    }

    @Test func `tombstones are forgotten in the end`() {
        var configuration = SWIMConfiguration()
        configuration.tombstoneTimeout = .seconds(60)
        let cluster = SWIMCluster(count: 3, seed: 8, configuration: configuration)
        cluster.startAll()
        cluster.run(for: .seconds(5))
        cluster.kill(2)
        cluster.run(for: .seconds(100))
        for index in 0..<2 { #expect(cluster.state(of: 2, seenBy: index) == nil) }
        #expect(cluster.nodes[0].machine.probeOrder == [SWIMCluster.id(1)])
    }
}
