import GGUF
import Primitives
import Testing

@testable import LayerPlacement

private let mebibyte: UInt64 = 1 << 20

struct TransferTests {
    private static let ballot = Ballot(term: 1, node: NodeID(1))
    private static let worker = NodeID(2)

    /// A master whose llama-server speaks with one worker, and when that began.
    private struct Loading {
        var machine = LaunchMachine(own: NodeID(1), wanted: WantedState())
        var now = Instant.origin
        let session: SessionID

        init() throws {
            let memory = ByteCount(1 << 30)
            let endpoint = LaunchCluster.endpoint(1)
            var machine = machine
            func handle(_ input: LaunchInput) {
                var effects: [LaunchEffect] = []
                machine.handle(input, at: .origin, effects: &effects)
            }
            handle(.candidates([WorkerCandidate(node: TransferTests.worker, memory: memory)]))
            handle(.reigns(ballot))
            for _ in 0...LaunchMachine.collectRoundCount { handle(.timer(.collected)) }
            handle(.want(WantedModel(name: "tiny.gguf")))
            session = try #require(machine.attempt?.session)
            handle(.modelRead(session, .success(try facts(of: .tiny))))
            let report = WorkerReport(
                session: session,
                state: .ready,
                instance: 1,
                endpoint: endpoint
            )
            handle(.report(report, from: worker))
            handle(.probed(session, worker, .success(1)))
            // It must have said again that it works for this session.
            try #require(machine.attempt?.isServerRunning == false)
            handle(.report(report, from: worker))
            try #require(machine.attempt?.isServerRunning == true)
            handle(.server(session, .started(pid: 9)))
            self.machine = machine
        }

        /// Half a second later the relay has counted so much.
        mutating func count(_ loaded: UInt64, sent: UInt64? = nil) -> [LaunchEffect] {
            now += .milliseconds(500)
            let transfer = WorkerTransfer(
                node: worker,
                loaded: ByteCount(loaded),
                sent: ByteCount(sent ?? loaded)
            )
            return handle(.transferred([transfer]))
        }

        mutating func handle(_ input: LaunchInput) -> [LaunchEffect] {
            var effects: [LaunchEffect] = []
            machine.handle(input, at: now, effects: &effects)
            return effects
        }

        var perSecond: UInt64? { machine.transfers?.transfers.first?.perSecond.bytes }
    }

    @Test func `the speed is that of the last seconds`() throws {
        var loading = try Loading()
        _ = loading.count(mebibyte)
        #expect(loading.perSecond == 0, "one count tells no speed")
        for step in 2...40 as ClosedRange<UInt64> { _ = loading.count(step * mebibyte) }
        #expect(loading.perSecond == 2 * mebibyte)
        // It stands still: after the period nothing is left of the speed.
        for _ in 0..<5 { _ = loading.count(40 * mebibyte) }
        #expect(loading.perSecond == mebibyte)
        for _ in 0..<5 { _ = loading.count(40 * mebibyte) }
        #expect(loading.perSecond == 0)
        #expect(loading.count(40 * mebibyte).isEmpty, "nothing new is not told")
    }

    @Test func `before weights come nothing is told, and of strangers never`() throws {
        var loading = try Loading()
        #expect(loading.count(0).isEmpty)
        let stranger = WorkerTransfer(node: NodeID(9), loaded: ByteCount(5), sent: ByteCount(5))
        #expect(loading.handle(.transferred([stranger])).isEmpty)
        #expect(loading.machine.transfers == nil)
    }

    @Test func `weights that move are a sign of life of llama-server`() throws {
        var loading = try Loading()
        _ = loading.handle(.server(loading.session, .loads(nil)))
        let stalled = LaunchEffect.setTimer(.stalled, after: LaunchMachine.loadingLimit)
        #expect(loading.count(1).contains(stalled))
        #expect(loading.count(2).contains(stalled))
        // The speed changes, the weights do not.
        let still = loading.count(2)
        #expect(!still.isEmpty)
        #expect(!still.contains(stalled))
    }

    @Test func `what was told of one llama-server is not told of the next`() throws {
        var loading = try Loading()
        _ = loading.count(mebibyte)
        #expect(loading.machine.transfers != nil)
        _ = loading.handle(.server(loading.session, .ended("signal 6")))
        #expect(loading.machine.transfers == nil)
    }

    @Test func `every member knows how far the weights are, whatever overtakes what`() throws {
        for seed in 0..<4 as Range<UInt64> {
            let cluster = try launched(3, seed: seed)
            cluster.latency = .milliseconds(1)...(.milliseconds(200))
            cluster.loss = 0.1
            let began = cluster.now
            cluster.transfers = { cluster in
                let loaded = ByteCount(UInt64((cluster.now - began) / .milliseconds(1)))
                return (1...2).map {
                    WorkerTransfer(node: LaunchCluster.id($0), loaded: loaded, sent: .zero)
                }
            }
            cluster.run(for: .seconds(30))
            let told = try #require(cluster.nodes[0].launch.transfers)
            #expect(told.transfers.map(\.node) == [LaunchCluster.id(1), LaunchCluster.id(2)])
            for follower in 1...2 {
                #expect(cluster.nodes[follower].launch.transfers == told, "seed \(seed)")
                let shown = cluster.nodes[follower].shownTransfers
                for (earlier, later) in zip(shown, shown.dropFirst()) {
                    #expect(earlier.number < later.number)
                }
            }
        }
    }
}
