import Primitives
import Testing

@testable import SWIM

struct PartitionTests {
    @Test(arguments: [1, 2, 3], [20, 90])
    func `sides that were apart see only themselves, and each other again`(
        split: Int,
        seconds: Int
    ) {
        for seed in 0..<4 as Range<UInt64> {
            let cluster = SWIMCluster(count: 6, seed: seed)
            cluster.startAll()
            cluster.run(for: .seconds(6))
            cluster.passes = { from, to, _ in (from < split) == (to < split) }
            cluster.run(for: .seconds(seconds))
            if seconds == 90 {
                #expect(cluster.agree(Array(0..<split)), "seed \(seed)")
                #expect(cluster.agree(Array(split..<6)), "seed \(seed)")
            }
            cluster.passes = { _, _, _ in true }
            let time = cluster.run(for: .seconds(45)) { $0.allAgree }
            #expect(time != nil, "seed \(seed)")
            cluster.run(for: .seconds(60))
            #expect(cluster.allAgree, "seed \(seed): it must last")
        }
    }

    @Test(arguments: [(2, 1), (3, 1), (4, 2), (5, 1), (5, 2), (6, 3), (10, 1), (10, 5)])
    func `each side of a cut has buried the other within 9.5 s, however small it is`(
        count: Int,
        split: Int
    ) {
        for seed in 0..<6 as Range<UInt64> {
            let cluster = SWIMCluster(count: count, seed: seed)
            cluster.startAll()
            cluster.beat(every: .milliseconds(500), from: count - 1, for: .seconds(60))
            cluster.run(for: .seconds(15))
            cluster.passes = { from, to, _ in (from < split) == (to < split) }
            let sides = [Array(0..<split), Array(split..<count)]
            let time = cluster.run(for: .seconds(40)) { cluster in
                sides.allSatisfy { cluster.agree($0) }
            }
            #expect(
                (time ?? .seconds(99)) < .seconds(9.5),
                "seed \(seed): \(String(describing: time))"
            )
        }
    }

    @Test func `without seeds too, a dead member is told that it is dead and objects`() {
        for seed in 0..<8 as Range<UInt64> {
            let cluster = SWIMCluster(count: 2, seed: seed)
            cluster.start(0, seeds: [])
            cluster.start(1, seeds: [])
            cluster.handle(.sighted(SWIMCluster.endpoint(1)), at: 0)
            cluster.run(for: .seconds(5))
            cluster.passes = { _, _, _ in false }
            cluster.run(for: .seconds(120))
            #expect(cluster.isGone(0, as: .dead) == false && cluster.agree([0]))
            cluster.passes = { _, _, _ in true }
            // One reconnect is enough: the answer carries the objection.
            let time = cluster.run(for: .seconds(60)) { $0.allAgree }
            #expect((time ?? .seconds(99)) < .seconds(13), "seed \(seed)")
        }
    }

    @Test func `a link that flaps does not leave a living member dead`() {
        for seed in 0..<4 as Range<UInt64> {
            let cluster = SWIMCluster(count: 5, seed: seed)
            cluster.loss = 0.1
            cluster.startAll()
            cluster.run(for: .seconds(6))
            for round in 0..<6 {
                let cut = round % 5
                cluster.passes = { from, to, _ in from != cut && to != cut }
                cluster.run(for: .seconds(5 + 3 * round))
                cluster.passes = { _, _, _ in true }
                cluster.run(for: .seconds(7))
            }
            cluster.loss = 0
            #expect(cluster.run(for: .seconds(60)) { $0.allAgree } != nil, "seed \(seed)")
        }
    }

    @Test func `after any chaos the views become the set of running members`() {
        for seed in 0..<12 as Range<UInt64> {
            let cluster = SWIMCluster(count: 5, seed: seed)
            var chaos = SeededGenerator(seed: seed).derived(1)
            cluster.startAll()
            for _ in 0..<12 {
                let index = chaos.below(5)
                switch chaos.below(5) {
                case 0: cluster.kill(index)
                case 1: if !cluster.nodes[index].isRunning { cluster.start(index) }
                case 2:
                    let side = chaos.below(32)
                    cluster.passes = { from, to, _ in side >> from & 1 == side >> to & 1 }
                case 3:
                    let side = chaos.below(32)
                    cluster.passes = { from, _, _ in side >> from & 1 == 0 }
                default: cluster.loss = chaos.fraction() * 0.5
                }
                cluster.run(for: chaos.duration(in: .seconds(1)...(.seconds(20))))
            }
            cluster.loss = 0
            cluster.passes = { _, _, _ in true }
            for index in 0..<5 where !cluster.nodes[index].isRunning { cluster.start(index) }
            let time = cluster.run(for: .seconds(90)) { $0.allAgree }
            #expect(time != nil, "seed \(seed)")
        }
    }
}
