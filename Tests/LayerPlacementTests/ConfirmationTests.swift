import Primitives
import Testing

@testable import LayerPlacement

/// How long a worker's word counts that it works for this session.
@Suite struct ConfirmationTests {
    /// One worker has given its word; the RPC server of the other is not reached yet.
    private func waiting() throws -> LaunchCluster {
        let cluster = try launched(3)
        cluster.unreachableRPC = [2]
        #expect(cluster.run(for: .seconds(5)) { $0.phase(0) == .checkingWorkers } != nil)
        cluster.run(for: .seconds(3))
        #expect(cluster.phase(0) == .checkingWorkers && cluster.launches.isEmpty)
        return cluster
    }

    @Test func `a word that is older than a second is asked for again, and nothing is lost`() throws
    {
        let cluster = try waiting()
        cluster.unreachableRPC = []
        let time = cluster.run(for: .seconds(5)) { $0.isReady(0) }
        #expect((time ?? .seconds(99)) < .seconds(3))
        #expect(cluster.launches.count == 1 && cluster.failure(0) == nil)
    }

    @Test func `who does not repeat it is not used, though it was reached once`() throws {
        let cluster = try waiting()
        // Cut off silently: perhaps it works for another master by now.
        cluster.nodes[1].isRunning = false
        cluster.run(for: LaunchMachine.confirmationLimit + .milliseconds(500))
        cluster.unreachableRPC = []
        cluster.run(for: .seconds(10))
        #expect(cluster.launches.isEmpty)
    }
}
