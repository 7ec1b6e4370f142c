import Primitives
import Testing

@testable import LayerPlacement

/// Workers that are not used, and why.
struct LeftOutTests {
    private func leftOut(_ cluster: LaunchCluster) -> [String] {
        cluster.nodes[0].events.compactMap { event in
            if case .workerLeftOut(_, let reason) = event { return reason }
            return nil
        }
    }

    @Test func `a worker that never answers is left out`() throws {
        let cluster = try LaunchCluster(count: 3)
        cluster.elect(0)
        cluster.run(for: .seconds(1))
        cluster.nodes[2].isRunning = false
        cluster.handle(.want(model), at: 0)
        let time = cluster.run(for: .seconds(10)) { $0.isReady(0) }
        #expect((time ?? .seconds(99)) < .seconds(4))
        #expect(leftOut(cluster) == ["it did not answer"])
        #expect(cluster.launches.last?.workers == [LaunchCluster.endpoint(1)])
    }

    @Test func `a worker whose RPC server never becomes ready is left out, and released`() throws {
        let cluster = try LaunchCluster(count: 3)
        cluster.deafRPC = [1]
        cluster.elect(0)
        cluster.run(for: .seconds(1))
        cluster.handle(.want(model), at: 0)
        let time = cluster.run(for: .seconds(60)) { $0.isReady(0) }
        #expect((time ?? .seconds(99)) < .seconds(22))
        #expect(leftOut(cluster).first?.contains("not ready after") == true)
        #expect(cluster.nodes[1].rpc == nil)
    }

    @Test func `a worker whose RPC server is given up is left out at once`() throws {
        let cluster = try launched(3)
        cluster.deafRPC = [1]
        cluster.run(for: .milliseconds(50))
        cluster.handle(WorkerInput.serverFailed(reason: "no such program"), at: 1)
        let time = cluster.run(for: .seconds(60)) { $0.isReady(0) }
        #expect((time ?? .seconds(99)) < .seconds(2))
        #expect(leftOut(cluster) == ["no such program"])
    }

    @Test func `a worker that the master cannot reach is left out, in plain words`() throws {
        let cluster = try LaunchCluster(count: 3)
        cluster.unreachableRPC = [2]
        cluster.elect(0)
        cluster.run(for: .seconds(1))
        cluster.handle(.want(model), at: 0)
        let time = cluster.run(for: .seconds(60)) { $0.isReady(0) }
        #expect((time ?? .seconds(99)) < .seconds(17))
        #expect(leftOut(cluster) == ["its rpc-server could not be reached from the master"])
        #expect(cluster.nodes[2].rpc == nil, "it is released")
    }

    @Test func `who is left out hears it in spite of lost datagrams`() throws {
        for seed in 0..<4 as Range<UInt64> {
            let cluster = try launched(3, seed: seed)
            cluster.unreachableRPC = [2]
            cluster.run(for: .seconds(14))
            cluster.loss = 0.5
            cluster.run(for: .seconds(10)) { $0.phase(0) == .startingServer }
            let time = cluster.run(for: .seconds(20)) { $0.nodes[2].rpc == nil }
            #expect((time ?? .seconds(99)) < .seconds(6), "seed \(seed)")
        }
    }
}
