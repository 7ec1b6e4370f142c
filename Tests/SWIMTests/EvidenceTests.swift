import Primitives
import Testing

@testable import SWIM

// Evidence beats timers, and buries nobody alone.
struct EvidenceTests {
    @Test(arguments: [2, 3, 10, 16])
    func `a process that dies on a living host is dead everywhere within 0.6 s, each time`(
        count: Int
    ) {
        for seed in 0..<(count == 16 ? 1 : 3) as Range<UInt64> {
            let cluster = SWIMCluster(count: count, seed: seed)
            cluster.startAll()
            cluster.run(for: .seconds(8))
            for round in 1...10 {
                let victim = (round + Int(seed)) % count
                cluster.forgetEvents()
                cluster.crash(victim)
                let time = cluster.run(for: .seconds(20)) { $0.isGone(victim) }
                let isInTime = (time ?? .seconds(99)) < .milliseconds(600)
                #expect(isInTime, "seed \(seed), round \(round): \(String(describing: time))")
                #expect(cluster.suspicions { $0 != SWIMCluster.id(victim) } == 0)
                cluster.start(victim, seeds: [victim == 0 ? 1 : 0])
                cluster.run(for: .seconds(6))
                #expect(cluster.allAgree, "seed \(seed), round \(round)")
            }
        }
    }

    @Test(arguments: [2, 3, 10])
    func `a process whose socket outlives its streams is dead within 0.6 s, too`(count: Int) {
        for seed in 0..<5 as Range<UInt64> {
            let cluster = SWIMCluster(count: count, seed: seed)
            cluster.startAll()
            cluster.run(for: .seconds(8))
            cluster.crash(1)
            cluster.nodes[1].refuses = false
            cluster.run(for: .milliseconds(40))
            cluster.nodes[1].refuses = true
            let time = cluster.run(for: .seconds(20)) { $0.isGone(1) }
            let isInTime = (time ?? .seconds(99)) < .milliseconds(560)
            #expect(isInTime, "seed \(seed): \(String(describing: time))")
            #expect(cluster.suspicions { $0 != SWIMCluster.id(1) } == 0)
        }
    }

    @Test func `in a large cluster the news of a watched death are everywhere within a second`() {
        let cluster = SWIMCluster(count: 48, seed: 1)
        cluster.startAll()
        cluster.run(for: .seconds(20))
        cluster.kill(17)
        cluster.nodes[17].refuses = true
        // Only those who watch it see its streams end.
        for watcher in [15, 16, 18, 19] {
            cluster.tell(.evidence(.streamEnded, about: SWIMCluster.id(17)), to: watcher)
        }
        let time = cluster.run(for: .seconds(20)) { $0.isGone(17) }
        #expect((time ?? .seconds(99)) < .seconds(1.2), "\(String(describing: time))")
        #expect(cluster.suspicions { $0 != SWIMCluster.id(17) } == 0)
    }

    @Test func `streams that are reset while both processes live accuse nobody`() {
        let cluster = SWIMCluster(count: 8, seed: 3)
        cluster.startAll()
        cluster.run(for: .seconds(8))
        for round in 0..<50 {
            for other in 0..<8 where other != round % 8 {
                cluster.tell(.evidence(.streamEnded, about: SWIMCluster.id(round % 8)), to: other)
            }
            cluster.run(for: .milliseconds(700))
        }
        #expect(cluster.suspicions { _ in true } == 0)
    }

    @Test func `a process that is back at once is suspected at most`() {
        for seed in 0..<5 as Range<UInt64> {
            let cluster = SWIMCluster(count: 5, seed: seed)
            cluster.startAll()
            cluster.run(for: .seconds(8))
            cluster.forgetEvents()
            cluster.crash(2)
            cluster.run(for: .milliseconds(120))
            cluster.start(2)
            cluster.run(for: .seconds(30))
            #expect(cluster.allAgree)
            #expect(cluster.deaths { _ in true }.isEmpty, "seed \(seed)")
        }
    }

    @Test func `evidence starts one look at a time, and none at who is gone`() {
        let driven = Driven(peers: [7, 8, 9])
        driven.now = .origin + .seconds(1)
        func pings(_ effects: [SWIMEffect]) -> Int {
            effects.count { effect in
                guard case .send(let messages, _) = effect else { return false }
                return messages.contains { if case .ping = $0 { true } else { false } }
            }
        }
        let evidence = SWIMInput.evidence(.streamEnded, about: NodeID(8))
        func answer() -> [SWIMEffect] {
            let number = driven.machine.probes.first?.number ?? 0
            let ack = GossipMessage.ack(number: number)
            return driven.handle(.message(ack, from: NodeID(8), source: Driven.source))
        }
        #expect(pings(driven.handle(evidence)) == 1)
        #expect(pings(driven.handle(evidence)) == 0)
        #expect(pings(answer()) == 1, "the answer may be older than the second evidence")
        #expect(pings(answer()) == 0)
        #expect(pings(driven.handle(evidence)) == 0, "it was looked at a moment ago")
        driven.now += .seconds(1)
        #expect(pings(driven.handle(evidence)) == 1)
        #expect(driven.machine.member(NodeID(8))?.state == .alive)
        _ = driven.hear(MemberUpdate(id: NodeID(9), incarnation: 1, belief: .left))
        #expect(driven.handle(.evidence(.refused, about: NodeID(9))).isEmpty)
        #expect(driven.handle(.evidence(.refused, about: NodeID(99))).isEmpty)
    }

    @Test func `a suspect that is heard is looked at, told of the suspicion, once a second`() {
        let driven = Driven(peers: [7, 8, 9])
        driven.now = .origin + .seconds(1)
        let suspect = NodeID(8)
        let look = SWIMEffect.setTimer(.lookAtHeard(suspect), after: .milliseconds(50))
        #expect(!driven.handle(.heard(suspect)).contains(look), "nobody suspects it")
        let accusation = MemberUpdate(
            id: suspect,
            incarnation: 1,
            belief: .suspect(accuser: NodeID(9))
        )
        _ = driven.hear(accusation)
        #expect(driven.handle(.heard(suspect)).contains(look))
        driven.machine.probes = []
        let told = driven.handle(.timer(.lookAtHeard(suspect))).contains { effect in
            guard case .send(let messages, _) = effect else { return false }
            return messages.contains { if case .ping = $0 { true } else { false } }
                && messages.contains(.update(accusation))
        }
        #expect(told)
        #expect(!driven.handle(.heard(suspect)).contains(look), "it was looked at a moment ago")
        driven.now += .seconds(1)
        #expect(driven.handle(.heard(suspect)).contains(look))
        let objection = driven.hear(Driven.alive(8, incarnation: 2))
        #expect(objection.contains(.cancelTimer(.lookAtHeard(suspect))))
    }

    @Test func `a host that goes dark is dead within 3.5 s where a master hears everybody`() {
        var times: [Duration] = []
        for seed in 0..<8 as Range<UInt64> {
            let cluster = SWIMCluster(count: 10, seed: seed)
            cluster.startAll()
            cluster.beat(every: .milliseconds(600), from: 0, for: .seconds(40))
            cluster.run(for: .seconds(15))
            cluster.kill(7)
            guard let time = cluster.run(for: .seconds(30), until: { $0.isGone(7) }) else {
                Issue.record("seed \(seed)")
                continue
            }
            times.append(time)
            #expect(time < .seconds(3.5), "seed \(seed): \(time)")
            #expect(cluster.suspicions { $0 != SWIMCluster.id(7) } == 0)
        }
        let median = times.sorted()[times.count / 2]
        #expect(median < .seconds(2.8), "\(median)")
    }

    @Test func `a process that stands still on a living host gets the time of a suspicion`() {
        let cluster = SWIMCluster(count: 10, seed: 2)
        cluster.startAll()
        cluster.run(for: .seconds(15))
        cluster.stall(4)
        cluster.run(for: .seconds(3.5))
        cluster.resume(4)
        cluster.run(for: .seconds(30))
        #expect(cluster.deaths { _ in true }.isEmpty)
        #expect(cluster.allAgree)
    }

    @Test func `who stood still accuses nobody when it wakes`() {
        for seed in 0..<5 as Range<UInt64> {
            let cluster = SWIMCluster(count: 12, seed: seed)
            cluster.startAll()
            cluster.run(for: .seconds(10))
            cluster.forgetEvents()
            for _ in 0..<4 {
                for index in 0..<2 { cluster.stall(index) }
                cluster.run(for: .seconds(16))
                for index in 0..<2 { cluster.resume(index) }
                cluster.run(for: .milliseconds(250))
            }
            cluster.run(for: .seconds(60))
            #expect(cluster.deaths { $0 > SWIMCluster.id(1) }.isEmpty, "seed \(seed)")
            #expect(cluster.suspicions { $0 > SWIMCluster.id(1) } == 0, "seed \(seed)")
            #expect(cluster.allAgree, "seed \(seed)")
        }
    }

    @Test func `who stood still gives suspects that time once, however many timers came late`() {
        for seed in 0..<5 as Range<UInt64> {
            let cluster = SWIMCluster(count: 2, seed: seed)
            cluster.startAll()
            cluster.run(for: .seconds(10))
            cluster.kill(1)
            let suspected = cluster.run(for: .seconds(10)) {
                $0.nodes[0].machine.state(of: SWIMCluster.id(1)) == .suspect
            }
            #expect(suspected != nil, "seed \(seed)")
            cluster.stall(0)
            cluster.run(for: .seconds(60))
            cluster.resume(0)
            let time = cluster.run(for: .seconds(300)) { $0.isGone(1) }
            let isInTime = (time ?? .seconds(999)) < .seconds(66)
            #expect(isInTime, "seed \(seed): \(String(describing: time))")
        }
    }

    @Test func `who loses most members at once looks for the fault at home, and then believes it`()
    {
        let cluster = SWIMCluster(count: 8, seed: 5)
        cluster.startAll()
        cluster.run(for: .seconds(10))
        cluster.passes = { from, to, _ in (from == 0) == (to == 0) }
        cluster.run(for: .seconds(4))
        #expect(cluster.nodes[0].machine.presentCount == 8, "nobody is buried yet")
        cluster.run(for: .seconds(8))
        #expect(cluster.nodes[0].machine.presentCount == 1)
    }

    @Test func `round trips set how long an answer is waited for, within limits`() {
        var near = RoundTrip(first: .milliseconds(1))
        for _ in 0..<20 { near.add(.milliseconds(1)) }
        #expect(near.timeout < .milliseconds(3))
        var far = RoundTrip(first: .milliseconds(400))
        for count in 0..<20 { far.add(.milliseconds(count % 2 == 0 ? 300 : 500)) }
        #expect(far.timeout > .milliseconds(500))
        let driven = Driven(peers: [7])
        driven.machine.updateContact(NodeID(7)) { $0.roundTrip = near }
        #expect(driven.machine.directTimeout(of: NodeID(7)) == .milliseconds(300))
        driven.machine.updateContact(NodeID(7)) { $0.roundTrip = RoundTrip(first: .seconds(3)) }
        #expect(driven.machine.directTimeout(of: NodeID(7)) == .seconds(1))
    }
}

struct WatchRingTests {
    @Test(arguments: [2, 3, 16, 17, 40, 64])
    func `everybody is watched, by as many as it watches, and each stream is dialled once`(
        count: Int
    ) {
        let all = (1...count).map { NodeID(UInt128($0 * 7)) }
        var watchers: [NodeID: Int] = [:]
        for own in all {
            let others = all.filter { $0 != own }
            let dialled = WatchRing.dialled(by: own, among: others, allPairsLimit: 16, count: 4)
            let diallers = WatchRing.diallers(of: own, among: others, allPairsLimit: 16, count: 4)
            #expect(Set(dialled).isDisjoint(with: diallers))
            for other in dialled {
                let theirs = WatchRing.diallers(
                    of: other,
                    among: all.filter { $0 != other },
                    allPairsLimit: 16,
                    count: 4
                )
                #expect(theirs.contains(own))
            }
            watchers[own] = dialled.count + diallers.count
        }
        #expect(watchers.values.allSatisfy { $0 == (count <= 16 ? count - 1 : 8) })
    }
}
