import Primitives
import Testing

@testable import SWIM

// While a master's heartbeats and idle streams watch over everybody, few probes are needed; and
// nothing is found later for it.
struct QuietTests {
    /// Ten members with idle streams and the heartbeats of the first, which have found their
    /// rhythm.
    private static func quietCluster(seed: UInt64) -> SWIMCluster {
        let cluster = SWIMCluster(count: 10, seed: seed) { index in
            DeviceFacts(name: "device \(index)", vocabulary: .current)
        }
        cluster.startAll()
        cluster.run(for: .seconds(5))
        cluster.watchAll()
        cluster.beat(every: .milliseconds(600), from: 0, for: .seconds(200))
        cluster.run(for: .seconds(20))
        return cluster
    }

    @Test func `a quiet cluster sends few probes`() {
        let cluster = Self.quietCluster(seed: 1)
        #expect(cluster.nodes.allSatisfy { $0.machine.isResting })
        let before = cluster.datagramCount
        cluster.run(for: .seconds(60))
        // A ping and its answer every 10 s, of ten members.
        #expect(cluster.datagramCount - before <= 2 * 10 * 7)
        #expect(cluster.datagramCount > before)
    }

    @Test(arguments: 0..<8 as Range<UInt64>)
    func `two hosts that go dark at once, the master among them, are both missed soon`(
        seed: UInt64
    ) {
        let cluster = Self.quietCluster(seed: seed)
        cluster.kill(0)
        cluster.kill(6)
        // The followers miss the master at once, and the other one when the next master beats.
        cluster.run(for: .seconds(2.5))
        cluster.beat(every: .milliseconds(600), from: 3, for: .seconds(20))
        let time = cluster.run(for: .seconds(20)) { $0.isGone(0) && $0.isGone(6) }
        #expect((time ?? .seconds(99)) < .seconds(4), "\(String(describing: time))")
    }

    @Test func `whoever never answers a new master is looked into, and only once while silent`() {
        let driven = Driven(peers: [7, 8, 9])
        driven.now = .origin + .seconds(1)
        func looks(_ effects: [SWIMEffect]) -> Int {
            effects.count { effect in
                guard case .send(let messages, _) = effect else { return false }
                return messages.contains {
                    if case .ping(_, NodeID(8)) = $0 { true } else { false }
                }
            }
        }
        let awaited = driven.handle(.awaits(NodeID(8)))
        #expect(awaited == [.setTimer(.silence, after: .milliseconds(1100))])
        driven.now += .milliseconds(1100)
        #expect(looks(driven.handle(.timer(.silence))) == 1)
        driven.now += .milliseconds(600)
        #expect(driven.handle(.awaits(NodeID(8))).isEmpty)
        driven.now += .seconds(5)
        #expect(looks(driven.handle(.timer(.silence))) == 0)
    }

    @Test func `whoever answers is not missed`() {
        let driven = Driven(peers: [7, 8, 9])
        for _ in 0..<20 {
            driven.now += .milliseconds(600)
            _ = driven.handle(.awaits(NodeID(8)))
            driven.now += .milliseconds(30)
            _ = driven.handle(.heard(NodeID(8)))
            let effects = driven.handle(.timer(.silence))
            #expect(!effects.contains { if case .send = $0 { true } else { false } })
        }
    }

    @Test func `evidence ends the rest of those who have it, and probes are due within a period`() {
        let cluster = Self.quietCluster(seed: 2)
        cluster.tell(.evidence(.streamEnded, about: SWIMCluster.id(4)), to: 5)
        cluster.run(for: .milliseconds(100))
        #expect(!cluster.nodes[5].machine.isResting)
        #expect(cluster.nodes[6].machine.isResting)
        let due = cluster.nodes[5].machine.dues[.period]
        #expect(due.map { $0 <= cluster.now + .seconds(1) } ?? false)
    }

    @Test func `news that everybody missed are found by the next probe's digest`() {
        let cluster = Self.quietCluster(seed: 3)
        // What member 4 says of itself is lost on all its ways.
        cluster.passes = { from, _, _ in from != 4 }
        cluster.tell(.facts(DeviceFacts(name: "new", vocabulary: .current)), to: 4)
        cluster.run(for: .seconds(0.9))
        #expect(cluster.nodes[4].machine.own.facts.name == "new")
        for index in cluster.nodes.indices { cluster.nodes[index].machine.queue = GossipQueue() }
        cluster.passes = { _, _, _ in true }
        let time = cluster.run(for: .seconds(60)) { cluster in
            cluster.nodes.allSatisfy {
                $0.machine.member(SWIMCluster.id(4))?.facts.name == "new"
            }
        }
        #expect((time ?? .seconds(99)) < .seconds(25), "\(String(describing: time))")
    }

    @Test func `a digest that is one's own leads to nothing, another one to one comparison`() {
        let driven = Driven(peers: [7, 8])
        driven.now = .origin + .seconds(60)
        let same = Driven(peers: [8, 7])
        let update = MemberUpdate(
            id: NodeID(7),
            incarnation: 2,
            belief: .alive(
                endpoint: Driven.source,
                factsVersion: 3,
                facts: DeviceFacts(name: "7", vocabulary: .current)
            )
        )
        _ = same.hear(update)
        _ = driven.hear(update)
        same.machine.queue = GossipQueue()
        driven.machine.queue = GossipQueue()
        same.machine.isResting = true
        guard let digest = same.machine.ownDigest(for: NodeID(7)).first else {
            Issue.record("no digest")
            return
        }
        func syncs(_ message: GossipMessage) -> Int {
            driven.handle(.message(message, from: Driven.peer, source: Driven.source)).count {
                if case .sync = $0 { true } else { false }
            }
        }
        #expect(syncs(digest) == 0)
        #expect(syncs(.digest(12345)) == 1)
        #expect(syncs(.digest(12345)) == 0, "not again at once")
        driven.now += .seconds(30)
        #expect(syncs(.digest(12345)) == 1)
    }
}
