import Primitives
import Testing

@testable import LeaderElection

struct ChaosTests {
    /// Crashes, restarts, one-way links, partitions, loss, duplicates and reordering, by seed.
    private func torment(_ cluster: ElectionCluster, seed: UInt64, rounds: Int) {
        var chaos = SeededGenerator(seed: seed).derived(1)
        let count = cluster.nodes.count
        cluster.latency = .milliseconds(1)...(.milliseconds(10 + chaos.below(400)))
        cluster.duplication = chaos.fraction() * 0.3
        cluster.crashes = chaos.below(3) == 0 ? 0.002 : 0
        for _ in 0..<rounds {
            let index = chaos.below(count)
            switch chaos.below(8) {
            case 0: cluster.kill(index)
            case 1, 2: if !cluster.nodes[index].isRunning { cluster.start(index) }
            case 3:
                let side = chaos.below(1 << count)
                cluster.passes = { side >> $0 & 1 == side >> $1 & 1 }
            case 4:
                let side = chaos.below(1 << count)
                cluster.passes = { from, _ in side >> from & 1 == 0 }
            case 5: cluster.passes = { _, _ in true }
            case 6: cluster.serve(chaos.below(2) == 0, at: index)
            default: cluster.loss = chaos.fraction() * 0.4
            }
            if chaos.below(3) > 0 { cluster.noticeSoon() }
            cluster.run(for: chaos.duration(in: .milliseconds(100)...(.seconds(6))))
        }
    }

    private func calm(_ cluster: ElectionCluster) {
        cluster.loss = 0
        cluster.crashes = 0
        cluster.duplication = 0
        cluster.latency = .milliseconds(1)...(.milliseconds(10))
        cluster.passes = { _, _ in true }
        for index in cluster.nodes.indices where !cluster.nodes[index].isRunning {
            cluster.start(index)
        }
        // Views that were under way arrive first.
        cluster.run(for: .seconds(6))
        for index in cluster.nodes.indices {
            cluster.see(Array(cluster.nodes.indices), at: index)
        }
    }

    @Test func `after any chaos exactly one master is obeyed by all, and remains`() {
        for seed in 0..<60 as Range<UInt64> {
            let cluster = ElectionCluster(count: 1 + Int(seed % 6), seed: seed)
            cluster.startAll()
            torment(cluster, seed: seed, rounds: 15)
            calm(cluster)
            let time = cluster.run(for: .seconds(20)) { $0.isSettled }
            #expect((time ?? .seconds(99)) < .seconds(10), "seed \(seed)")
            cluster.run(for: .seconds(2))
            cluster.forgetEvents()
            cluster.run(for: .seconds(10))
            #expect(cluster.isSettled, "seed \(seed)")
            #expect(cluster.events { _ in true } == 0, "seed \(seed)")
        }
    }

    @Test func `no two leases are valid at once while all count the same members`() {
        for seed in 0..<40 as Range<UInt64> {
            let cluster = ElectionCluster(count: 2 + Int(seed % 4), seed: seed)
            cluster.checksLeases = true
            cluster.startAll()
            var chaos = SeededGenerator(seed: seed).derived(2)
            let count = cluster.nodes.count
            cluster.latency = .milliseconds(1)...(.milliseconds(10 + chaos.below(300)))
            for _ in 0..<15 {
                let index = chaos.below(count)
                switch chaos.below(5) {
                case 0: cluster.kill(index)
                case 1, 2: if !cluster.nodes[index].isRunning { cluster.start(index) }
                case 3:
                    let side = chaos.below(1 << count)
                    cluster.passes = { side >> $0 & 1 == side >> $1 & 1 }
                default:
                    cluster.passes = { _, _ in true }
                    cluster.loss = chaos.fraction() * 0.4
                }
                cluster.run(for: chaos.duration(in: .milliseconds(100)...(.seconds(5))))
            }
        }
    }

    @Test func `a healthy core has its master while others stay deaf or mute for ever`() {
        for seed in 0..<60 as Range<UInt64> {
            let cluster = ElectionCluster(count: 5, seed: seed)
            var chaos = SeededGenerator(seed: seed).derived(3)
            var order = Array(0..<5)
            chaos.shuffle(&order)
            let (deaf, mute) = (order[0], order[1])
            let core = order[2...].sorted()
            // From the start, or while one of the faulty is master.
            if seed % 2 == 0 { cluster.passes = { $0 != mute && $1 != deaf } }
            cluster.startAll()
            cluster.run(for: .seconds(6))
            cluster.passes = { $0 != mute && $1 != deaf }
            let time = cluster.run(for: .seconds(20)) { $0.isSettled(core) }
            #expect((time ?? .seconds(99)) < .seconds(10), "seed \(seed)")
            cluster.run(for: .seconds(3))
            cluster.forgetEvents()
            cluster.run(for: .seconds(30))
            #expect(cluster.isSettled(core), "seed \(seed)")
            #expect(core.allSatisfy { cluster.nodes[$0].events.isEmpty }, "seed \(seed)")
        }
    }
}
