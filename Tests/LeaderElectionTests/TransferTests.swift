import Primitives
import Testing

@testable import LeaderElection

struct TransferTests {
    private func settled(
        _ count: Int,
        seed: UInt64,
        _ policy: ElectionPolicy = .available
    ) -> ElectionCluster {
        let cluster = ElectionCluster(count: count, seed: seed)
        cluster.policy = policy
        cluster.checksLeases = true
        cluster.startAll()
        if policy == .quorum { cluster.handle(.found, at: 0) }
        cluster.run(for: .seconds(25))
        cluster.forgetEvents()
        return cluster
    }

    private func outcomes(_ cluster: ElectionCluster, at index: Int) -> [TransferOutcome] {
        cluster.nodes[index].events.compactMap { event in
            if case .transferEnded(let outcome) = event.event { outcome } else { nil }
        }
    }

    @Test(arguments: ElectionPolicy.allCases)
    func `mastership goes to the named device within a tenth of a second`(
        policy: ElectionPolicy
    ) {
        for seed in 0..<100 as Range<UInt64> {
            let cluster = settled(5, seed: seed, policy)
            let master = cluster.masters[0]
            let target = (master + 2) % 5
            cluster.handle(.transfer(to: ElectionCluster.id(target)), at: master)
            let time = cluster.run(for: .seconds(10)) {
                $0.masters == [target] && $0.isSettled
            }
            #expect((time ?? .seconds(99)) < .milliseconds(100), "seed \(seed)")
            cluster.run(for: .seconds(5))
            #expect(cluster.masters == [target], "seed \(seed)")
            let results = outcomes(cluster, at: master).map(\.result)
            #expect(results.count == 1, "seed \(seed)")
            guard case .done(let ballot) = results.first else {
                Issue.record("seed \(seed): \(results)")
                continue
            }
            #expect(ballot.node == ElectionCluster.id(target))
        }
    }

    @Test func `a device that is no voter becomes one first`() {
        for seed in 0..<5 as Range<UInt64> {
            let cluster = settled(2, seed: seed, .quorum)
            let master = cluster.masters[0]
            let target = 1 - master
            #expect(cluster.nodes[master].disk.configuration?.contains(.init(0)) == false)
            cluster.handle(.transfer(to: ElectionCluster.id(target)), at: master)
            cluster.run(for: .seconds(5))
            #expect(cluster.masters == [target], "seed \(seed)")
            let voters = cluster.nodes[target].disk.configuration?.voters
            #expect(voters == [ElectionCluster.id(target)], "seed \(seed)")
        }
    }

    @Test(arguments: ElectionPolicy.allCases)
    func `a device that does not answer changes nothing`(policy: ElectionPolicy) {
        let cluster = settled(4, seed: 3, policy)
        let master = cluster.masters[0]
        let target = (master + 1) % 4
        cluster.kill(target)
        cluster.handle(.transfer(to: ElectionCluster.id(target)), at: master)
        cluster.run(for: .seconds(8))
        #expect(cluster.masters == [master])
        #expect(outcomes(cluster, at: master).map(\.result) == [.refused(.silent)])
        #expect(cluster.events { if case .elected = $0 { true } else { false } } == 0)
    }

    @Test(arguments: ElectionPolicy.allCases)
    func `if the device dies when it has agreed, somebody else is elected, and that is said`(
        policy: ElectionPolicy
    ) {
        for seed in 0..<10 as Range<UInt64> {
            let cluster = settled(5, seed: seed, policy)
            let master = cluster.masters[0]
            let target = (master + 1) % 5
            cluster.handle(.transfer(to: ElectionCluster.id(target)), at: master)
            cluster.run(for: .seconds(1)) { $0.masters.isEmpty }
            cluster.kill(target)
            cluster.run(for: .seconds(12))
            let left = cluster.nodes.indices.filter { $0 != target }
            #expect(cluster.isSettled(left), "seed \(seed)")
            let outcome = outcomes(cluster, at: master)
            #expect(outcome.count == 1, "seed \(seed): \(outcome)")
        }
    }

    @Test func `unfit devices are refused with the reason, and the master stays`() {
        let cluster = settled(3, seed: 1)
        let master = cluster.masters[0]
        let target = (master + 1) % 3
        let reasons: [(TransferRefusal, (inout Standing) -> Void)] = [
            (.hasNoEngine, { $0.hasEngine = false }), (.takesNoWork, { $0.takesWork = false }),
            (.lacksModel, { $0.holdsWantedModel = false }),
        ]
        for (reason, change) in reasons {
            let standings = (0..<3).map { index in
                var standing = Standing(
                    holdsWantedModel: true,
                    hasEngine: true,
                    node: ElectionCluster.id(index)
                )
                if index == target { change(&standing) }
                return standing
            }
            cluster.handle(.members(standings), at: master)
            cluster.forgetEvents()
            cluster.handle(.transfer(to: ElectionCluster.id(target)), at: master)
            #expect(outcomes(cluster, at: master).map(\.result) == [.refused(reason)])
        }
        cluster.handle(.transfer(to: ElectionCluster.id(master)), at: master)
        cluster.handle(.transfer(to: NodeID(99)), at: master)
        let last = outcomes(cluster, at: master).suffix(2).map(\.result)
        #expect(last == [.refused(.alreadyMaster), .refused(.unknownMember)])
        #expect(cluster.masters == [master])
    }

    @Test(arguments: ElectionPolicy.allCases)
    func `who leaves hands over, gives its vote up, and then may go`(policy: ElectionPolicy) {
        for seed in 0..<10 as Range<UInt64> {
            let cluster = settled(5, seed: seed, policy)
            var left = Array(0..<5)
            for _ in 0..<4 {
                let leaver = cluster.masters[0]
                cluster.handle(.leave, at: leaver)
                let time = cluster.run(for: .seconds(10)) { cluster in
                    cluster.nodes[leaver].events.contains {
                        $0.event == .mayLeave(isReleased: true)
                    }
                }
                #expect((time ?? .seconds(99)) < .seconds(2), "seed \(seed), \(left.count) left")
                cluster.kill(leaver)
                left.removeAll { $0 == leaver }
                for index in left { cluster.see(left, at: index) }
                cluster.run(for: .seconds(3))
                #expect(cluster.isSettled(left), "seed \(seed), \(left.count) left")
            }
        }
    }

    @Test func `ranks order who stands first: work, engine, reach, model, mains, uptime, node`() {
        func standing(_ change: (inout Standing) -> Void) -> Standing {
            var standing = Standing(
                holdsWantedModel: true,
                hasEngine: true,
                node: NodeID(1),
                uptime: UptimeStep(5)
            )
            change(&standing)
            return standing
        }
        let ordered = [
            standing { $0.takesWork = false }, standing { $0.hasEngine = false },
            standing { $0.reachesEveryWorker = false }, standing { $0.holdsWantedModel = false },
            standing { $0.isOnMains = false }, standing { $0.uptime = UptimeStep(4) },
            standing { _ in }, standing { $0.node = NodeID(2) },
        ]
        #expect(ordered.sorted() == ordered)
    }
}
