import GGUF
import Primitives
import Testing

@testable import LayerPlacement

/// What the tests of launches ask for.
let model = WantedModel(name: "tiny.gguf", context: 512)

/// A cluster whose first member is master and was asked for the model.
func launched(_ count: Int, seed: UInt64 = 1) throws -> LaunchCluster {
    let cluster = try LaunchCluster(count: count, seed: seed)
    cluster.elect(0)
    cluster.run(for: .seconds(1))
    cluster.handle(.want(model), at: 0)
    return cluster
}

struct LaunchTests {
    @Test(arguments: [0, 1, 2, 3, 7])
    func `a wanted model passes the six phases and is ready`(workerCount: Int) throws {
        let cluster = try launched(workerCount + 1)
        let time = cluster.run(for: .seconds(10)) { $0.isReady(0) }
        #expect((time ?? .seconds(99)) < .seconds(2))
        let phases = cluster.nodes[0].events.compactMap { event -> LaunchPhase? in
            if case .phase(let phase, _) = event { return phase }
            return nil
        }
        let checking: [LaunchPhase] = workerCount > 0 ? [.checkingWorkers] : []
        #expect(
            phases == [.startingWorkers] + checking
                + [.startingServer, .handshake, .loading, .ready]
        )
        let launch = try #require(cluster.launches.first)
        #expect(cluster.launches.count == 1)
        #expect(launch.workers == (0..<workerCount).map { LaunchCluster.endpoint($0 + 1) })
        let values = launch.tensorSplit.split(separator: ",").compactMap { Double(String($0)) }
        #expect(values.count == workerCount)
        #expect(workerCount == 0 || abs(values.reduce(0, +) - 1) < 1e-9)
        #expect(cluster.nodes[0].isServing)
        // It stays so.
        cluster.run(for: .seconds(300))
        #expect(cluster.isReady(0))
        #expect(cluster.launches.count == 1)
    }

    @Test func `a member that the master cannot reach is left out, and used once it can`() throws {
        var machine = LaunchMachine(own: NodeID(1), wanted: WantedState())
        var effects: [LaunchEffect] = []
        func handle(_ input: LaunchInput) -> [LaunchEffect] {
            effects = []
            machine.handle(input, at: .origin, effects: &effects)
            return effects
        }
        let near = WorkerCandidate(node: NodeID(2), memory: ByteCount(1 << 30))
        var far = WorkerCandidate(node: NodeID(3), memory: ByteCount(1 << 30), isReachable: false)
        let ballot = Ballot(term: 1, node: NodeID(1))
        _ = handle(.candidates([near, far]))
        _ = handle(.reigns(ballot))
        for _ in 0...LaunchMachine.collectRoundCount { _ = handle(.timer(.collected)) }
        let begun = handle(.want(model))
        #expect(machine.attempt?.workers.map(\.node) == [near.node])
        let leftOut = begun.compactMap { effect -> NodeID? in
            if case .emit(.workerLeftOut(let node, _)) = effect { return node }
            return nil
        }
        #expect(leftOut == [far.node])
        let ordered = begun.contains { effect in
            if case .send(.order, to: far.node) = effect { return true }
            return false
        }
        #expect(!ordered)

        // The launch fails for want of memory; a worker more begins another one.
        let session = try #require(machine.attempt?.session)
        _ = handle(.modelRead(session, .failure(LaunchProblem("too large"))))
        #expect(machine.attempt?.phase == .failed)
        far.isReachable = true
        let retried = handle(.candidates([near, far]))
        #expect(retried.contains(.setTimer(.retry, after: .milliseconds(200))))
        _ = handle(.timer(.retry))
        #expect(machine.attempt?.workers.map(\.node) == [near.node, far.node])
    }

    @Test func `followers see the launch in order, whatever overtakes what`() throws {
        for seed in 0..<8 as Range<UInt64> {
            let cluster = try launched(3, seed: seed)
            cluster.latency = .milliseconds(1)...(.milliseconds(200))
            cluster.loss = 0.1
            cluster.run(for: .seconds(30))
            for follower in 1...2 {
                let shown = cluster.nodes[follower].shown
                for (earlier, later) in zip(shown, shown.dropFirst()) {
                    #expect((earlier.ballot, earlier.number) < (later.ballot, later.number))
                }
                #expect(shown.last?.phase == .ready, "seed \(seed)")
                #expect(shown.last?.shares.allSatisfy { $0.modelBytes != nil } == true)
            }
            let progress = cluster.nodes[0].shown.compactMap(\.progress)
            #expect(progress == progress.sorted())
            #expect(cluster.launches.count == 1, "seed \(seed): late datagrams restart nothing")
        }
    }

    @Test(arguments: [0.1, 0.3])
    func `lost datagrams only delay`(loss: Double) throws {
        for seed in 0..<8 as Range<UInt64> {
            let cluster = try launched(4, seed: seed)
            cluster.loss = loss
            #expect(cluster.run(for: .seconds(30)) { $0.isReady(0) } != nil, "seed \(seed)")
        }
    }

    @Test(arguments: [
        LaunchPhase.startingWorkers, .checkingWorkers, .startingServer, .handshake,
        .loading, .ready,
    ])
    func `unloading in any phase ends every program and frees the workers`(
        phase: LaunchPhase
    ) throws {
        for seed in 0..<4 as Range<UInt64> {
            let cluster = try launched(4, seed: seed)
            cluster.run(for: .seconds(10)) { $0.phase(0) == phase }
            #expect(cluster.phase(0) == phase)
            cluster.loss = 0.3
            cluster.handle(.want(nil), at: 0)
            #expect(cluster.nodes[0].llama == nil)
            let time = cluster.run(for: .seconds(30)) { $0.isIdle }
            #expect((time ?? .seconds(99)) < .seconds(6), "seed \(seed)")
            #expect(!cluster.nodes[0].isServing)
            cluster.loss = 0
            cluster.run(for: .seconds(60))
            #expect(cluster.isIdle)
            #expect(cluster.nodes.allSatisfy { $0.launch.report == nil && $0.disk.model == nil })
            cluster.handle(.want(model), at: 0)
            #expect(cluster.run(for: .seconds(10)) { $0.isReady(0) } != nil, "and again")
        }
    }

    @Test func `another model replaces the one that runs`() throws {
        let cluster = try launched(3)
        cluster.run(for: .seconds(5))
        let other = WantedModel(name: "other.gguf")
        cluster.handle(.want(other), at: 0)
        #expect(cluster.run(for: .seconds(10)) { $0.isReady(0) } != nil)
        #expect(cluster.launches.map(\.model) == [model, other])
        #expect(cluster.nodes[2].disk.model == other)
    }

    @Test func `a model that does not fit fails at once and says how much is missing`() throws {
        let cluster = try launched(3)
        cluster.tellCandidates(memory: 20 << 20)
        cluster.handle(.want(model), at: 0)
        cluster.run(for: .seconds(3))
        #expect(cluster.phase(0) == .failed)
        let reason = try #require(cluster.failure(0))
        #expect(reason.contains("40.0 MiB available"), "\(reason)")
        #expect(reason.contains("MiB needed") && reason.contains("add a device"), "\(reason)")
        #expect(cluster.launches.isEmpty && cluster.isIdle)
        #expect(!cluster.nodes[0].isServing, "a failed launch is nothing to lose")
        #expect(cluster.nodes[1].launch.report?.phase == .failed)
        // When memory is freed, the next try succeeds by itself.
        cluster.tellCandidates()
        #expect(cluster.run(for: .seconds(40)) { $0.isReady(0) } != nil)
    }

    @Test func `a model that cannot be read fails with the reader's words`() throws {
        let cluster = try LaunchCluster(count: 2)
        cluster.problem = LaunchProblem("no such file: tiny.gguf")
        cluster.elect(0)
        cluster.run(for: .seconds(1))
        cluster.handle(.want(model), at: 0)
        cluster.run(for: .seconds(3))
        #expect(cluster.failure(0) == "no such file: tiny.gguf")
        #expect(cluster.isIdle)
    }
}

/// Workers that fail.
struct LaunchFaultTests {
    @Test(arguments: [
        LaunchPhase.startingWorkers, .checkingWorkers, .startingServer, .handshake,
        .loading, .ready,
    ])
    func `a worker that dies in any phase does not keep the others from being ready`(
        phase: LaunchPhase
    ) throws {
        for seed in 0..<5 as Range<UInt64> {
            let cluster = try launched(4, seed: seed)
            cluster.run(for: .seconds(10)) { $0.phase(0) == phase }
            cluster.kill(2)
            cluster.run(for: .seconds(3))
            cluster.tellCandidates()
            cluster.run(for: .seconds(20))
            #expect(cluster.isReady(0), "seed \(seed)")
            #expect(
                cluster.launches.last?.workers
                    == [LaunchCluster.endpoint(1), LaunchCluster.endpoint(3)]
            )
        }
    }

    @Test(arguments: [LaunchPhase.checkingWorkers, .startingServer, .handshake, .loading, .ready])
    func `an RPC server that restarts under a model has lost it: a new session begins`(
        phase: LaunchPhase
    ) throws {
        let cluster = try launched(3)
        cluster.run(for: .seconds(10)) { $0.phase(0) == phase }
        let before = cluster.nodes[0].launch.attempt?.session
        cluster.restartRPC(1)
        cluster.run(for: .seconds(5))
        #expect(cluster.isReady(0))
        #expect(cluster.nodes[0].launch.attempt?.session != before)
    }

    @Test func `one late word of a worker ends nothing, two do`() throws {
        let cluster = try launched(2)
        cluster.run(for: .seconds(5))
        let session = try #require(cluster.nodes[0].launch.attempt?.session)
        let late = LaunchInput.report(
            WorkerReport(
                session: session,
                state: .starting,
                instance: 0,
                endpoint: LaunchCluster.endpoint(1)
            ),
            from: LaunchCluster.id(1)
        )
        cluster.handle(late, at: 0)
        cluster.run(for: .seconds(2))
        cluster.handle(late, at: 0)
        cluster.run(for: .seconds(2))
        #expect(cluster.nodes[0].launch.attempt?.session == session)
        cluster.handle(late, at: 0)
        cluster.handle(late, at: 0)
        cluster.run(for: .seconds(5))
        #expect(cluster.nodes[0].launch.attempt?.session != session)
        #expect(cluster.isReady(0))
    }

    @Test func `a llama-server that aborts is tried again ever later, then given up`() throws {
        let cluster = try launched(2)
        cluster.fate = { _ in .abortsWhileLoading }
        cluster.run(for: .seconds(45))
        #expect(cluster.phase(0) == .failed)
        #expect(cluster.launches.count == 7)
        let reason = try #require(cluster.failure(0))
        #expect(reason.contains("SIGABRT") && reason.contains("no memory"), "\(reason)")
        #expect(reason.contains("7 attempts"), "\(reason)")
        #expect(cluster.isIdle)
        #expect(cluster.nodes[1].launch.report?.message == reason)
        // Rarely, from then on.
        cluster.run(for: .seconds(60))
        #expect(cluster.launches.count <= 10)
    }

    @Test func `a model that llama-server rejects is tried twice, and then not again by itself`()
        throws
    {
        let cluster = try launched(2)
        cluster.fate = { _ in .rejectsModel }
        let time = cluster.run(for: .seconds(10)) { $0.phase(0) == .failed }
        #expect((time ?? .seconds(99)) < .seconds(5))
        #expect(cluster.launches.count == 2)
        let reason = try #require(cluster.failure(0))
        for part in ["missing tensor 'x'", "Not tried again", "caravan model get", "launch it"] {
            #expect(reason.contains(part), "\(reason)")
        }
        cluster.run(for: .seconds(300))
        #expect(cluster.isIdle)
        #expect(cluster.nodes[1].launch.report?.message == reason)
        #expect(cluster.launches.count == 2)
        // Somebody got the file again.
        cluster.fate = { _ in .loads }
        cluster.handle(.want(model), at: 0)
        cluster.run(for: .seconds(10)) { $0.isReady(0) }
        #expect(cluster.isReady(0))
    }

    @Test func `a model that is rejected once, and whose worker dies then, is tried again`() throws
    {
        let cluster = try launched(2)
        cluster.fate = {
            switch $0.number {
            case 1, 3, 5: .rejectsModel
            case 2, 4: .abortsWhileLoading
            default: .loads
            }
        }
        cluster.run(for: .seconds(45)) { $0.isReady(0) }
        #expect(cluster.isReady(0))
        #expect(cluster.launches.count == 6)
    }

    @Test func `a llama-server that goes silent is replaced once, then the launch fails`() throws {
        let cluster = try launched(2)
        cluster.fate = { _ in .staysInHandshake }
        cluster.run(for: .seconds(25))
        #expect(cluster.launches.count == 1)
        cluster.run(for: .seconds(45))
        #expect(cluster.launches.count == 2)
        #expect(cluster.phase(0) == .failed)
        let reason = try #require(cluster.failure(0))
        #expect(reason.contains("30") && reason.contains("2 times in a row"), "\(reason)")
        #expect(cluster.isIdle)
    }

    @Test func `a llama-server that hangs once costs one attempt`() throws {
        let cluster = try launched(2)
        cluster.fate = { $0.number == 1 ? .staysInHandshake : .loads }
        let time = cluster.run(for: .seconds(60)) { $0.isReady(0) }
        #expect((time ?? .seconds(99)) < .seconds(40))
    }

    @Test func `a new device is a reason to try again at once`() throws {
        let cluster = try LaunchCluster(count: 3)
        cluster.nodes[2].isRunning = false
        cluster.tellCandidates()
        cluster.elect(0)
        cluster.fate = { _ in .abortsWhileLoading }
        cluster.run(for: .seconds(1))
        cluster.handle(.want(model), at: 0)
        cluster.run(for: .seconds(45)) { $0.phase(0) == .failed }
        cluster.fate = { _ in .loads }
        cluster.nodes[2].isRunning = true
        cluster.handle(WorkerInput.obeys(Ballot(term: 1, node: LaunchCluster.id(0))), at: 2)
        cluster.tellCandidates()
        let time = cluster.run(for: .seconds(20)) { $0.isReady(0) }
        #expect((time ?? .seconds(99)) < .seconds(3))
        #expect(cluster.launches.last?.workers.count == 2)
    }

    @Test func `what an earlier session says counts for nothing`() throws {
        let cluster = try launched(2)
        cluster.run(for: .seconds(5))
        let old = try #require(cluster.nodes[0].launch.attempt?.session)
        cluster.restartRPC(1)
        cluster.run(for: .seconds(5))
        let attempt = try #require(cluster.nodes[0].launch.attempt)
        #expect(attempt.session != old)
        let stale: [LaunchInput] = [
            .server(old, .ended("exit code 0")), .server(old, .loads(0.2)),
            .modelRead(old, .failure(LaunchProblem("gone"))),
            .probed(old, LaunchCluster.id(1), .failure(LaunchProblem("gone"))),
            .report(
                WorkerReport(
                    session: old,
                    state: .failed,
                    instance: 0,
                    endpoint: LaunchCluster.endpoint(1)
                ),
                from: LaunchCluster.id(1)
            ),
        ]
        for input in stale { cluster.handle(input, at: 0) }
        #expect(cluster.nodes[0].launch.attempt == attempt)
    }
}
