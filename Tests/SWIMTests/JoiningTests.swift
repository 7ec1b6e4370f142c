import Primitives
import Testing

@testable import SWIM

struct JoiningTests {
    @Test(arguments: [1, 2, 3, 5, 8, 16])
    func `members that know one seed all find each other`(count: Int) {
        for seed in 0..<5 as Range<UInt64> {
            let cluster = SWIMCluster(count: count, seed: seed)
            cluster.startAll()
            cluster.run(for: .seconds(5))
            #expect(cluster.allAgree, "seed \(seed)")
            #expect(cluster.deaths { _ in true }.isEmpty)
        }
    }

    @Test func `members find each other along a chain of seeds in spite of lost datagrams`() {
        for seed in 0..<10 as Range<UInt64> {
            let cluster = SWIMCluster(count: 6, seed: seed)
            cluster.loss = 0.2
            // The later ones start first: their seeds are not there yet.
            for index in cluster.nodes.indices.reversed() {
                cluster.start(index, seeds: [max(0, index - 1)])
                cluster.run(for: .seconds(2))
            }
            let time = cluster.run(for: .seconds(60)) { $0.allAgree }
            #expect(time != nil, "seed \(seed)")
        }
    }

    @Test func `a quiet cluster sends one probe a period and member, and its answer`() {
        let cluster = SWIMCluster(count: 8, seed: 7)
        cluster.startAll()
        cluster.run(for: .seconds(10))
        let before = cluster.datagramCount
        cluster.run(for: .seconds(60))
        #expect(cluster.datagramCount - before <= 8 * 61 * 2)
    }

    @Test func `a sighted member is met and a known one is not asked again`() {
        let cluster = SWIMCluster(count: 2, seed: 1)
        cluster.start(0, seeds: [])
        cluster.start(1, seeds: [])
        cluster.run(for: .seconds(3))
        #expect(!cluster.agree([0, 1]))
        cluster.handle(.sighted(SWIMCluster.endpoint(1)), at: 0)
        cluster.run(for: .seconds(1))
        #expect(cluster.agree([0, 1]))
        var effects: [SWIMEffect] = []
        cluster.nodes[0].machine.handle(
            .sighted(SWIMCluster.endpoint(1)),
            at: cluster.now,
            effects: &effects
        )
        #expect(effects.isEmpty)
    }

    @Test func `no more members than the limit are kept`() {
        var configuration = SWIMConfiguration()
        configuration.memberLimit = 5
        let cluster = SWIMCluster(count: 9, seed: 3, configuration: configuration)
        cluster.startAll()
        cluster.run(for: .seconds(30))
        for node in cluster.nodes {
            #expect(node.machine.others.count <= 4)
            #expect(node.machine.unmet.count <= 5)
        }
    }

    @Test func `no datagram exceeds the limit, however much there is to tell`() {
        let models = (0..<16 as Range<UInt64>).map { $0 }
        let cluster = SWIMCluster(count: 16, seed: 5) { index in
            DeviceFacts(
                name: String(repeating: "n", count: 63),
                engine: String(repeating: "e", count: 31),
                models: models
            )
        }
        cluster.startAll()
        cluster.run(for: .seconds(10))
        for index in 0..<8 { cluster.kill(index) }
        cluster.run(for: .seconds(60))
        #expect(cluster.largestDatagram <= 1400)
        #expect(cluster.largestDatagram > 1000)
    }

    @Test func `new facts reach everybody, the newest last`() {
        let cluster = SWIMCluster(count: 8, seed: 9)
        cluster.loss = 0.1
        cluster.startAll()
        cluster.run(for: .seconds(5))
        for version in 1...5 {
            cluster.handle(.facts(DeviceFacts(name: "name \(version)")), at: 3)
            cluster.run(for: .milliseconds(100))
        }
        cluster.run(for: .seconds(5))
        for node in cluster.nodes {
            #expect(node.machine.member(SWIMCluster.id(3))?.facts.name == "name 5")
        }
        // Facts are no accusation: nothing had to be refuted.
        #expect(cluster.nodes[3].machine.own.incarnation == 1)
    }

    @Test(arguments: [2, 3, 5, 8])
    func `a member that says goodbye has left everywhere and is dead nowhere`(count: Int) {
        for seed in 0..<5 as Range<UInt64> {
            let cluster = SWIMCluster(count: count, seed: seed)
            cluster.loss = 0.05
            cluster.startAll()
            cluster.run(for: .seconds(5))
            cluster.handle(.leave, at: 1)
            let spread = cluster.run(for: .seconds(3)) { cluster in
                cluster.nodes[1].events.contains { $0.event == .goodbyeSpread }
            }
            #expect(spread != nil)
            cluster.kill(1)
            cluster.run(for: .seconds(60))
            #expect(cluster.isGone(1, as: .left), "seed \(seed)")
            #expect(cluster.deaths { $0 == SWIMCluster.id(1) }.isEmpty, "seed \(seed)")
            // And it may come back.
            cluster.start(1)
            cluster.run(for: .seconds(10))
            #expect(cluster.allAgree, "seed \(seed)")
        }
    }

    @Test func `whoever leaves alone waits for nobody`() {
        let cluster = SWIMCluster(count: 1, seed: 1)
        cluster.startAll()
        cluster.handle(.leave, at: 0)
        #expect(cluster.nodes[0].events.map(\.event) == [.goodbyeSpread])
    }

    @Test func `somebody else under one's own identity is told of`() {
        let cluster = SWIMCluster(count: 2, seed: 1)
        cluster.startAll()
        let other = SWIMCluster.endpoint(9)
        cluster.handle(
            .message(.ack(number: 1), from: SWIMCluster.id(0), source: other),
            at: 0
        )
        #expect(cluster.nodes[0].events.contains { $0.event == .duplicateIdentity(other) })
    }
}
