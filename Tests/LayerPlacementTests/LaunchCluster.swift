import GGUF
import Primitives
import Testing
import VirtualTime

@testable import LayerPlacement

/// Members that run a model together, on a virtual clock: their launch and worker machines, with
/// RPC servers and llama-servers that behave as the real ones do.
final class LaunchCluster {
    struct Node {
        var launch: LaunchMachine
        var worker: WorkerMachine
        var isRunning = true
        var launchTimers: [LaunchTimer: Int] = [:]
        var workerTimers: [WorkerTimer: Int] = [:]
        /// The run of the RPC server; nil while none runs.
        var rpc: (run: Int, isReady: Bool)?
        /// The session whose llama-server runs here.
        var llama: SessionID?
        var isServing = false
        var disk = WantedState()
        var events: [LaunchEvent] = []
        var workerEvents: [WorkerEvent] = []
        /// Every report of a launch that this member has shown.
        var shown: [LaunchReport] = []
        var shownTransfers: [TransferReport] = []
    }

    /// How a llama-server fares.
    enum Fate { case loads, abortsWhileLoading, rejectsModel, staysInHandshake }

    private enum Happening {
        case message(PlacementMessage, from: Int, to: Int)
        case launch(LaunchInput, Int)
        case server(ServerEvent, SessionID, Int)
        case rpcReady(run: Int, Int)
        case launchTimer(LaunchTimer, Int, token: Int)
        case workerTimer(WorkerTimer, Int, token: Int)
    }

    var nodes: [Node] = []
    private(set) var now = Instant.origin
    var loss = 0.0
    var latency: ClosedRange<Duration> = .milliseconds(1)...(.milliseconds(5))
    var fate: (SessionID) -> Fate = { _ in .loads }
    /// RPC servers that never answer their own device, or not the master.
    var deafRPC: Set<Int> = []
    var unreachableRPC: Set<Int> = []
    var problem: LaunchProblem?
    /// What the relay of a master counts when it is asked.
    var transfers: (LaunchCluster) -> [WorkerTransfer] = { _ in [] }
    private(set) var launches: [ServerLaunch] = []
    private(set) var term: UInt64 = 0
    private var reigning: Ballot?
    private let facts: ModelFacts
    /// Read once: making the model's header takes a while in debug builds.
    private static let tiny = Result { try LayerPlacementTests.facts(of: .tiny) }
    private var schedule = Schedule<Happening>()
    private var generator: SeededGenerator
    private var nextToken = 0

    init(count: Int, seed: UInt64 = 1) throws {
        facts = try Self.tiny.get()
        generator = SeededGenerator(seed: seed)
        for index in 0..<count {
            nodes.append(
                Node(
                    launch: LaunchMachine(own: Self.id(index), wanted: WantedState()),
                    worker: WorkerMachine(endpoint: Self.endpoint(index))
                )
            )
        }
        tellCandidates()
    }

    static func id(_ index: Int) -> NodeID { NodeID(UInt128(index + 1)) }
    static func index(_ id: NodeID) -> Int { Int(id.rawValue) - 1 }
    static func endpoint(_ index: Int) -> Endpoint {
        Endpoint(address: .v4(0x7F00_0001 + UInt32(index)), port: 50052)
    }

    // MARK: - What the test does

    /// What membership says of who could be a worker.
    func tellCandidates(memory: UInt64 = 1 << 30) {
        for index in nodes.indices {
            let others = nodes.indices.filter { $0 != index && nodes[$0].isRunning }
            handle(
                .candidates(
                    others.map { WorkerCandidate(node: Self.id($0), memory: ByteCount(memory)) }
                ),
                at: index
            )
        }
    }

    /// Makes a member master, newly or under a higher ballot.
    func elect(_ master: Int) {
        term += 1
        let ballot = Ballot(term: term, node: Self.id(master))
        reigning = ballot
        for index in nodes.indices {
            handle(WorkerInput.obeys(ballot), at: index)
            handle(index == master ? .reigns(ballot) : .follows(ballot), at: index)
        }
    }

    /// The master's lease ends, and nobody has another one yet.
    func depose() {
        reigning = nil
        for index in nodes.indices {
            handle(WorkerInput.obeys(nil), at: index)
            handle(.follows(nil), at: index)
        }
    }

    func kill(_ index: Int) {
        nodes[index].isRunning = false
        loseRPC(of: index)
        nodes[index].llama = nil
    }

    /// Starts a killed member with what it has on disk.
    func revive(_ index: Int) {
        guard !nodes[index].isRunning else { return }
        let disk = nodes[index].disk
        nodes[index] = Node(
            launch: LaunchMachine(own: Self.id(index), wanted: disk),
            worker: WorkerMachine(endpoint: Self.endpoint(index)),
            disk: disk
        )
        if reigning?.node == Self.id(index) { depose() }
        handle(WorkerInput.obeys(reigning), at: index)
        handle(LaunchInput.follows(reigning), at: index)
        tellCandidates()
    }

    /// The RPC server ends and is started again by its supervisor.
    func restartRPC(_ index: Int) {
        guard nodes[index].rpc != nil else { return }
        loseRPC(of: index)
        handle(WorkerInput.serverDown, at: index)
        startRPC(index)
    }

    private func loseRPC(of index: Int) {
        nodes[index].rpc = nil
        for user in nodes.indices {
            // Idle it would not notice.
            guard let session = nodes[user].llama, nodes[user].launch.attempt?.phase != .ready,
                nodes[user].launch.attempt?.workers.contains(where: {
                    $0.node == Self.id(index)
                }) == true
            else { continue }
            later(.server(.ended("signal 6 (SIGABRT)"), session, user), .milliseconds(10))
        }
    }

    func run(for duration: Duration) { run(for: duration) { _ in false } }

    @discardableResult
    func run(for duration: Duration, until isDone: (LaunchCluster) -> Bool) -> Duration? {
        let start = now
        let end = now + duration
        if isDone(self) { return .zero }
        while let next = schedule.next, next <= end {
            guard let (at, what) = schedule.pop() else { break }
            now = at
            happen(what)
            if isDone(self) { return now - start }
        }
        now = end
        return nil
    }

    private func happen(_ what: Happening) {
        switch what {
        case .message(let message, let from, let to):
            switch message {
            case .order(let order): handle(.order(order, from: Self.id(from)), at: to)
            case .report(let report): handle(.report(report, from: Self.id(from)), at: to)
            case .wanted(let state): handle(.heard(state, from: Self.id(from)), at: to)
            case .progress(let report): handle(.progress(report), at: to)
            case .transfers(let report): handle(.transfers(report), at: to)
            }
        case .launch(let input, let index): handle(input, at: index)
        case .server(let event, let session, let index):
            guard nodes[index].llama == session else { return }
            if case .ended = event { nodes[index].llama = nil }
            handle(.server(session, event), at: index)
        case .rpcReady(let run, let index):
            guard nodes[index].rpc?.run == run else { return }
            nodes[index].rpc?.isReady = true
            handle(WorkerInput.serverReady(instance: UInt64(run)), at: index)
        case .launchTimer(let timer, let index, let token):
            guard nodes[index].launchTimers[timer] == token else { return }
            handle(.timer(timer), at: index)
        case .workerTimer(let timer, let index, let token):
            guard nodes[index].workerTimers[timer] == token else { return }
            handle(WorkerInput.timer(timer), at: index)
        }
    }

    private func later(_ what: Happening, _ delay: Duration) {
        schedule.add(what, at: now + delay)
    }

    func handle(_ input: LaunchInput, at index: Int) {
        guard nodes[index].isRunning else { return }
        var effects: [LaunchEffect] = []
        nodes[index].launch.handle(input, at: now, effects: &effects)
        for effect in effects { perform(effect, of: index) }
    }

    func handle(_ input: WorkerInput, at index: Int) {
        guard nodes[index].isRunning else { return }
        var effects: [WorkerEffect] = []
        nodes[index].worker.handle(input, at: now, effects: &effects)
        for effect in effects { perform(effect, of: index) }
    }

    // MARK: - The world

    private func send(_ message: PlacementMessage, from: Int, to: Int) {
        guard nodes[to].isRunning, generator.fraction() >= loss else { return }
        later(.message(message, from: from, to: to), generator.duration(in: latency))
    }

    private func token() -> Int {
        nextToken += 1
        return nextToken
    }

    private func perform(_ effect: LaunchEffect, of index: Int) {
        switch effect {
        case .send(let message, let node): send(message, from: index, to: Self.index(node))
        case .broadcast(let message):
            for other in nodes.indices where other != index {
                send(message, from: index, to: other)
            }
        case .persist(let state):
            #expect(state.isNewer(than: nodes[index].disk), "the wanted state only rises")
            nodes[index].disk = state
        case .readModel(_, let session):
            let result: Result<ModelFacts, LaunchProblem> =
                problem.map { .failure($0) } ?? .success(facts)
            later(.launch(.modelRead(session, result), index), .milliseconds(10))
        case .probe(_, let node, let session):
            let worker = Self.index(node)
            let isReached =
                nodes[worker].rpc?.isReady == true && !unreachableRPC.contains(worker)
            let result: Result<Int, LaunchProblem> =
                isReached ? .success(1) : .failure(LaunchProblem("connection refused"))
            later(.launch(.probed(session, node, result), index), .milliseconds(3))
        case .startServer(let launch, let session): startLlama(launch, session, on: index)
        case .stopServer: nodes[index].llama = nil
        case .readTransfers: handle(.transferred(transfers(self)), at: index)
        case .setTimer(let timer, let delay):
            let token = token()
            nodes[index].launchTimers[timer] = token
            later(.launchTimer(timer, index, token: token), delay)
        case .cancelTimer(let timer): nodes[index].launchTimers[timer] = nil
        case .emit(let event):
            nodes[index].events.append(event)
            if event == .transfersChanged, let report = nodes[index].launch.transfers {
                nodes[index].shownTransfers.append(report)
            }
            if event == .progressChanged, let report = nodes[index].launch.report {
                nodes[index].shown.append(report)
            }
        case .serving(let isServing): nodes[index].isServing = isServing
        }
    }

    private func perform(_ effect: WorkerEffect, of index: Int) {
        switch effect {
        case .startServer: startRPC(index)
        case .stopServer: loseRPC(of: index)
        case .report(let report, let node):
            send(.report(report), from: index, to: Self.index(node))
        case .setTimer(let timer, let delay):
            let token = token()
            nodes[index].workerTimers[timer] = token
            later(.workerTimer(timer, index, token: token), delay)
        case .cancelTimer(let timer): nodes[index].workerTimers[timer] = nil
        case .emit(let event): nodes[index].workerEvents.append(event)
        }
    }

    private func startRPC(_ index: Int) {
        let run = token()
        nodes[index].rpc = (run, false)
        if !deafRPC.contains(index) {
            later(.rpcReady(run: run, index), .milliseconds(150))
        }
    }

    private func startLlama(_ launch: ServerLaunch, _ session: SessionID, on index: Int) {
        #expect(nodes[index].llama == nil, "two llama-servers")
        nodes[index].llama = session
        launches.append(launch)
        var events: [(ServerEvent, Int)] = [(.started(pid: 9), 5), (.handshakes, 20)]
        switch fate(session) {
        case .staysInHandshake: break
        case .abortsWhileLoading:
            events += [(.loads(0.1), 100), (.complained("no memory"), 150)]
            events.append((.ended("signal 6 (SIGABRT)"), 200))
        case .rejectsModel:
            events += [(.rejected("missing tensor 'x'"), 100), (.ended("exit code 1"), 150)]
        case .loads:
            for percent in stride(from: 0, through: 100, by: 10) {
                events.append((.loads(Double(percent) / 100), 100 + 5 * percent))
            }
            for device in launch.workers.indices {
                events.append((.placed(device: UInt8(device), ByteCount(1 << 20)), 610))
            }
            events.append((.loaded, 700))
        }
        for (event, delay) in events {
            later(.server(event, session, index), .milliseconds(delay))
        }
    }
}

// Questions.
extension LaunchCluster {
    func phase(_ index: Int) -> LaunchPhase? { nodes[index].launch.attempt?.phase }

    /// Whether the member runs a ready model on RPC servers that all belong to its session.
    func isReady(_ index: Int) -> Bool {
        guard let attempt = nodes[index].launch.attempt, attempt.phase == .ready,
            nodes[index].llama == attempt.session
        else { return false }
        return attempt.workers.allSatisfy { worker in
            let node = nodes[Self.index(worker.node)]
            return node.worker.service?.session == attempt.session
                && node.rpc.map { UInt64($0.run) } == worker.report?.instance
        }
    }

    /// Whether no program runs anywhere.
    var isIdle: Bool { nodes.allSatisfy { $0.rpc == nil && $0.llama == nil } }

    func failure(_ index: Int) -> String? {
        for case .failed(let reason, _) in nodes[index].events { return reason }
        return nil
    }
}
