import GGUF
import Primitives
import Testing

@testable import LayerPlacement

private let other = WantedModel(name: "other.gguf")

/// Masters come and go.
struct TakeoverTests {
    @Test func `a new master runs what the last one was asked for, with what is left`() throws {
        for seed in 0..<10 as Range<UInt64> {
            let cluster = try launched(4, seed: seed)
            cluster.loss = 0.05
            cluster.run(for: .seconds(10))
            #expect(cluster.isReady(0))
            cluster.kill(0)
            cluster.depose()
            cluster.run(for: .seconds(3))
            cluster.tellCandidates()
            cluster.elect(2)
            let time = cluster.run(for: .seconds(20)) { $0.isReady(2) }
            #expect((time ?? .seconds(99)) < .seconds(6), "seed \(seed)")
            #expect(
                cluster.launches.last?.workers
                    == [LaunchCluster.endpoint(1), LaunchCluster.endpoint(3)]
            )
        }
    }

    @Test func `a new master takes the newest wanted state, whoever holds it`() throws {
        let cluster = try LaunchCluster(count: 3)
        let past = Ballot(term: 1, node: LaunchCluster.id(2))
        cluster.handle(
            .heard(WantedState(ballot: past, version: 3, model: other), from: LaunchCluster.id(2)),
            at: 1
        )
        cluster.handle(
            .heard(WantedState(ballot: past, version: 9, model: model), from: LaunchCluster.id(2)),
            at: 2
        )
        cluster.elect(0)
        cluster.elect(0)
        #expect(cluster.run(for: .seconds(10)) { $0.isReady(0) } != nil)
        #expect(cluster.launches.map(\.model) == [model])
        let state = WantedState(
            ballot: Ballot(term: 2, node: LaunchCluster.id(0)),
            version: 1,
            model: model
        )
        #expect(cluster.nodes.allSatisfy { $0.disk == state })
    }

    @Test func `a master of whom nobody ever wanted anything claims nothing`() throws {
        let cluster = try LaunchCluster(count: 3)
        cluster.elect(0)
        cluster.run(for: .seconds(2))
        cluster.elect(0)
        cluster.run(for: .seconds(2))
        #expect(cluster.nodes.allSatisfy { $0.disk == WantedState() })
        // Somebody returns who knows better: that is what runs.
        let past = Ballot(term: 1, node: LaunchCluster.id(2))
        cluster.handle(
            .heard(WantedState(ballot: past, version: 1, model: model), from: LaunchCluster.id(2)),
            at: 0
        )
        #expect(cluster.run(for: .seconds(10)) { $0.isReady(0) } != nil)
    }

    @Test func `a member that comes later tells a master that knows of nothing wanted`() throws {
        let cluster = try LaunchCluster(count: 3)
        cluster.nodes[2].isRunning = false
        cluster.elect(0)
        cluster.run(for: .seconds(10))
        // It was on another side meanwhile, whose master gave up.
        cluster.nodes[2].isRunning = true
        let past = Ballot(term: 1, node: LaunchCluster.id(2))
        cluster.handle(
            .heard(WantedState(ballot: past, version: 1, model: model), from: LaunchCluster.id(2)),
            at: 2
        )
        #expect(cluster.run(for: .seconds(20)) { $0.isReady(0) } != nil)
    }

    @Test func `a renewed ballot keeps the session and raises the wanted state`() throws {
        let cluster = try launched(3)
        cluster.run(for: .seconds(5))
        let session = cluster.nodes[0].launch.attempt?.session
        cluster.elect(0)
        cluster.run(for: .seconds(60))
        #expect(cluster.isReady(0))
        #expect(cluster.nodes[0].launch.attempt?.session == session)
        #expect(cluster.launches.count == 1)
        #expect(cluster.nodes[1].disk.ballot?.term == 2)
        #expect(cluster.nodes[1].launch.report?.ballot.term == 2)
    }

    @Test func `a side that gives way does not change what the other runs`() throws {
        let cluster = try launched(3)
        cluster.run(for: .seconds(5))
        // The other side's master was elected more often, and was asked for something else.
        let theirs = WantedState(
            ballot: Ballot(term: 40, node: LaunchCluster.id(9)),
            version: 1,
            model: other
        )
        for index in 0..<3 {
            cluster.handle(.heard(theirs, from: LaunchCluster.id(2)), at: index)
        }
        cluster.run(for: .seconds(10))
        #expect(cluster.isReady(0) && cluster.launches.count == 1)
        // It is outbid everywhere, so that a later master runs the same.
        #expect(cluster.nodes.allSatisfy { $0.disk.model == model })
        cluster.kill(0)
        cluster.tellCandidates()
        cluster.elect(1)
        #expect(cluster.run(for: .seconds(10)) { $0.isReady(1) } != nil)
        #expect(cluster.launches.last?.model == model)
    }

    @Test func `deposed and elected again in time, a master goes on with its session`() throws {
        let cluster = try launched(3)
        cluster.run(for: .seconds(5))
        let session = cluster.nodes[0].launch.attempt?.session
        cluster.depose()
        cluster.run(for: .seconds(8))
        cluster.elect(0)
        cluster.run(for: .seconds(30))
        #expect(cluster.isReady(0))
        #expect(cluster.nodes[0].launch.attempt?.session == session)
    }

    @Test func `a worker that was lost meanwhile is noticed on the return`() throws {
        let cluster = try launched(3)
        cluster.run(for: .seconds(5))
        cluster.depose()
        cluster.kill(1)
        cluster.tellCandidates()
        cluster.run(for: .seconds(2))
        cluster.elect(0)
        cluster.run(for: .seconds(10))
        #expect(cluster.isReady(0))
        #expect(cluster.launches.last?.workers == [LaunchCluster.endpoint(2)])
    }

    @Test func `what is wanted by then is what runs after the return`() throws {
        let cluster = try launched(3)
        cluster.run(for: .seconds(5))
        cluster.depose()
        let theirs = WantedState(
            ballot: Ballot(term: 1, node: LaunchCluster.id(2)),
            version: 1,
            model: other
        )
        cluster.handle(.heard(theirs, from: LaunchCluster.id(2)), at: 0)
        cluster.elect(0)
        cluster.run(for: .seconds(10))
        #expect(cluster.isReady(0))
        #expect(cluster.launches.last?.model == other)
    }

    @Test func `deposed for too long, or for another master, it ends its programs`() throws {
        for isReplaced in [false, true] {
            let cluster = try launched(3)
            cluster.run(for: .seconds(5))
            cluster.depose()
            if isReplaced { cluster.handle(.follows(Ballot(term: 5, node: NodeID(99))), at: 0) }
            cluster.run(for: .seconds(isReplaced ? 0 : 11))
            #expect(cluster.nodes[0].llama == nil)
            #expect(!cluster.nodes[0].isServing)
            cluster.run(for: .seconds(11))
            #expect(cluster.isIdle, "the workers end theirs without a master")
        }
    }

    @Test
    func `what happens while nobody is master ends the session, and the return begins another`()
        throws
    {
        let cluster = try launched(3)
        cluster.run(for: .seconds(5))
        let session = try #require(cluster.nodes[0].launch.attempt?.session)
        cluster.depose()
        cluster.nodes[0].llama = nil
        cluster.handle(.server(session, .ended("signal 6 (SIGABRT)")), at: 0)
        cluster.run(for: .seconds(4))
        cluster.elect(0)
        cluster.run(for: .seconds(10))
        #expect(cluster.isReady(0))
        #expect(cluster.nodes[0].launch.attempt?.session != session)
    }

    @Test func `after any chaos exactly what is wanted runs, on one master, or nothing at all`()
        throws
    {
        for seed in 0..<20 as Range<UInt64> {
            let cluster = try launched(4, seed: seed)
            var chaos = SeededGenerator(seed: seed).derived(1)
            cluster.latency = .milliseconds(1)...(.milliseconds(5 + chaos.below(150)))
            var aborts = false
            cluster.fate = { _ in aborts ? .abortsWhileLoading : .loads }
            for _ in 0..<12 {
                switch chaos.below(11) {
                case 8, 9:
                    cluster.kill(chaos.below(4))
                    if chaos.below(2) == 0 { cluster.tellCandidates() }
                case 10: for index in 0..<4 { cluster.revive(index) }
                case 0: cluster.restartRPC(chaos.below(4))
                case 1: cluster.depose()
                case 2: cluster.elect(chaos.below(4))
                case 3: cluster.elect(0)
                case 4: aborts.toggle()
                case 5: cluster.handle(.want(chaos.below(3) == 0 ? nil : other), at: chaos.below(4))
                case 6: cluster.deafRPC = chaos.below(2) == 0 ? [chaos.below(4)] : []
                default: cluster.loss = chaos.fraction() * 0.3
                }
                cluster.run(for: chaos.duration(in: .milliseconds(50)...(.seconds(4))))
            }
            aborts = false
            cluster.loss = 0
            cluster.deafRPC = []
            cluster.unreachableRPC = []
            for index in 0..<4 { cluster.revive(index) }
            let master = chaos.below(4)
            cluster.elect(master)
            cluster.run(for: .seconds(160))
            let wanted = cluster.nodes[master].launch.wanted
            #expect(cluster.nodes.allSatisfy { $0.disk == wanted }, "seed \(seed)")
            if wanted.model == nil {
                #expect(cluster.isIdle, "seed \(seed)")
            } else {
                #expect(cluster.isReady(master), "seed \(seed)")
                #expect(cluster.nodes.indices.count { cluster.nodes[$0].llama != nil } == 1)
            }
        }
    }
}
