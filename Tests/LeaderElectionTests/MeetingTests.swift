import Primitives
import Testing

@testable import LeaderElection

/// Sides that were apart meet: one master remains, the one with more to lose.
struct MeetingTests {
    /// Two sides that have each settled on a master of their own.
    private func apart(_ left: [Int], _ right: [Int], seed: UInt64) -> ElectionCluster {
        let cluster = ElectionCluster(count: left.count + right.count, seed: seed)
        cluster.passes = { left.contains($0) == left.contains($1) }
        for side in [left, right] {
            for index in side {
                cluster.nodes[index].view = side
                cluster.start(index)
            }
        }
        cluster.run(for: .seconds(6))
        #expect(cluster.isSettled(left) && cluster.isSettled(right))
        return cluster
    }

    private func master(of side: [Int], in cluster: ElectionCluster) -> Int {
        cluster.masters.first(where: side.contains) ?? -1
    }

    private func join(_ cluster: ElectionCluster) {
        cluster.passes = { _, _ in true }
        cluster.noticeSoon(within: .seconds(2))
    }

    @Test(arguments: [[1, 3], [3, 2], [2, 2], [1, 1], [4, 3]])
    func `one of two masters remains, and its ballot becomes the highest`(sizes: [Int]) {
        for seed in 0..<10 as Range<UInt64> {
            let left = Array(0..<sizes[0])
            let right = Array(sizes[0]..<sizes[0] + sizes[1])
            let cluster = apart(left, right, seed: seed)
            let heavier = master(of: sizes[0] > sizes[1] ? left : right, in: cluster)
            join(cluster)
            let time = cluster.run(for: .seconds(20)) { $0.isSettled }
            #expect((time ?? .seconds(99)) < .seconds(10), "seed \(seed)")
            cluster.run(for: .seconds(20))
            #expect(cluster.isSettled, "seed \(seed)")
            if sizes[0] != sizes[1] {
                #expect(cluster.masters == [heavier], "seed \(seed)")
            }
            let highest = cluster.nodes.compactMap(\.disk.obeyed).max()
            #expect(cluster.ballot(of: cluster.masters[0]) == highest)
        }
    }

    @Test func `a serving master is not unseated by a side that is larger or of later terms`() {
        for seed in 0..<10 as Range<UInt64> {
            let cluster = apart([0], [1, 2, 3], seed: seed)
            // The larger side has had many elections more, and serves nothing.
            for _ in 0..<Int(seed % 4) {
                cluster.kill(cluster.masters.first { $0 > 0 } ?? 1)
                cluster.run(for: .seconds(8))
                for index in 1...3 where !cluster.nodes[index].isRunning { cluster.start(index) }
                cluster.run(for: .seconds(3))
            }
            cluster.serve(true, at: 0)
            cluster.nodes[0].events = []
            join(cluster)
            let time = cluster.run(for: .seconds(30)) { $0.isSettled }
            #expect((time ?? .seconds(99)) < .seconds(12), "seed \(seed)")
            #expect(cluster.masters == [0], "seed \(seed)")
            let wasDeposed = cluster.nodes[0].events.contains {
                if case .deposed = $0.event { return true }
                return false
            }
            #expect(!wasDeposed, "seed \(seed)")
        }
    }

    @Test func `a lone master that returns with a far higher term gives way`() {
        for seed in 0..<10 as Range<UInt64> {
            let cluster = ElectionCluster(count: 4, seed: seed)
            cluster.nodes[3].disk = ElectionRecord(
                term: 900,
                obeyed: Ballot(term: 900, node: ElectionCluster.id(3))
            )
            cluster.passes = { ($0 == 3) == ($1 == 3) }
            for index in 0..<4 {
                cluster.nodes[index].view = index == 3 ? [3] : [0, 1, 2]
                cluster.start(index)
            }
            cluster.run(for: .seconds(6))
            let before = master(of: [0, 1, 2], in: cluster)
            cluster.serve(true, at: before)
            cluster.nodes[before].events = []
            join(cluster)
            let time = cluster.run(for: .seconds(20)) { $0.isSettled }
            #expect((time ?? .seconds(99)) < .seconds(6), "seed \(seed)")
            #expect(cluster.masters == [before], "seed \(seed)")
            #expect((cluster.ballot(of: before)?.term ?? 0) > 900)
            #expect(
                cluster.nodes[before].events.allSatisfy {
                    if case .renewed = $0.event { return true }
                    return false
                },
                "seed \(seed)"
            )
        }
    }

    @Test func `members that were cut off for a while come back without an election`() {
        for seed in 0..<10 as Range<UInt64> {
            let cluster = ElectionCluster(count: 5, seed: seed)
            cluster.startAll()
            cluster.run(for: .seconds(6))
            let master = cluster.masters[0]
            let lost = (master + 1) % 5
            cluster.serve(true, at: master)
            cluster.passes = { ($0 == lost) == ($1 == lost) }
            cluster.noticeSoon()
            cluster.run(for: .seconds(60))
            cluster.nodes[master].events = []
            join(cluster)
            cluster.run(for: .seconds(15))
            #expect(cluster.isSettled && cluster.masters == [master], "seed \(seed)")
        }
    }
}
