import EventLoop
import GGUF
import LayerPlacement
import LlamaRPC
import Primitives
import Runtime
import Supervision

/// Which faults a device's llama-server has now.
struct LlamaServerFaults {
    private var counts: [LlamaServerFault: Int] = [:]

    func has(_ fault: LlamaServerFault) -> Bool { (counts[fault] ?? 0) > 0 }

    mutating func begin(_ fault: LlamaServerFault) { counts[fault, default: 0] += 1 }

    mutating func end(_ fault: LlamaServerFault) { counts[fault, default: 1] -= 1 }
}

extension SimulatedHost {
    func begin(_ fault: LlamaServerFault) {
        llamaFaults.begin(fault)
        guard fault == .abort else { return }
        for case let server as SimulatedLlamaServer in processes {
            server.abort("/src/ggml/src/ggml.c:1: GGML_ASSERT failed")
        }
    }

    func end(_ fault: LlamaServerFault) {
        llamaFaults.end(fault)
        for case let server as SimulatedLlamaServer in processes { server.goOn() }
    }
}

/// `llama-server --rpc` as it was measured: it speaks to its workers in turn, loads, serves, and
/// aborts when a worker is gone at a moment at which it needs one.
final class SimulatedLlamaServer: SimulatedProcess, @unchecked Sendable {
    private enum Phase {
        /// Reads its arguments, which includes speaking to the workers: HTTP is refused.
        case connecting(Int)
        /// HTTP answers 503.
        case loading(step: Int)
        case ready
    }

    private struct Worker {
        let endpoint: Endpoint
        var stream: SimulatedStream?
        var probe = RPCProbe()
        /// Bytes of an answer under way.
        var bytes: [UInt8] = []
        var waitsForAnswer = false
        var isGone = false
    }

    private static let loadSteps = 10
    private static let requestTime: Duration = .seconds(1)
    private static let tokenTime: Duration = .milliseconds(100)
    private static let connectTimeout: Duration = .seconds(127)

    private let launch: ServerLaunch
    let session: SessionID?
    private var phase = Phase.connecting(0)
    private var workers: [Worker]
    private var httpPort: UInt16 = 0
    /// Until when a request is under way.
    private var busyUntil: Int64 = 0
    private var terminations = 0
    /// What a fault keeps it from doing now.
    private var postponed: [() -> Void] = []

    init(
        _ world: SimulatedWorld,
        _ launch: ServerLaunch,
        for session: SessionID?,
        onEvent: @escaping @Sendable (ChildProcessEvent) -> Void
    ) {
        self.launch = launch
        self.session = session
        workers = launch.workers.map { Worker(endpoint: $0) }
        super.init(world, onEvent: onEvent)
    }

    func start(on port: UInt16) {
        httpPort = port
        tell(.started(pid: pid, command: "llama-server"))
        after(.milliseconds(60)) { [self] in connectNext() }
    }

    override func ended() {
        workers = []
        postponed = []
    }

    private func postpones(_ action: @escaping () -> Void) -> Bool {
        guard host.llamaFaults.has(.hang) else { return false }
        postponed.append(action)
        return true
    }

    /// A fault is over: does what it kept from being done.
    func goOn() {
        let actions = postponed
        postponed = []
        for action in actions where isAlive { action() }
    }

    /// In the middle of a request a first SIGTERM mostly hangs.
    override func terminate() {
        terminations += 1
        guard simulation.now >= busyUntil || terminations > 1 else { return }
        super.terminate()
    }

    // MARK: - Connecting

    private func connectNext() {
        guard case .connecting(let index) = phase else { return }
        guard index < workers.count else {
            load()
            return
        }
        let endpoint = workers[index].endpoint
        workers[index].stream = SimulatedStream.connect(
            from: host,
            owner: .process(self),
            to: endpoint,
            timeout: Self.connectTimeout
        ) { [unowned self] event in happened(event, worker: index) }
    }

    private func happened(_ event: StreamEvent, worker index: Int) {
        guard !postpones({ [unowned self] in happened(event, worker: index) }) else { return }
        switch event {
        case .opened: workers[index].stream?.send(workers[index].probe.opening)
        case .received(let bytes):
            if case .connecting = phase { greeted(bytes, index) } else { answered(bytes, index) }
        case .closed:
            workers[index].isGone = true
            switch phase {
            case .connecting:
                abort("\(Self.source):650: Failed to connect to \(workers[index].endpoint)")
            case .loading: abort(Self.crashed)
            case .ready: if workers[index].waitsForAnswer { abort(Self.crashed) }
            }
        }
    }

    private static let source = "/src/ggml/src/ggml-rpc/ggml-rpc.cpp"
    private static let crashed =
        "\(source):401: Remote RPC server crashed or returned malformed response"

    private func greeted(_ bytes: [UInt8], _ index: Int) {
        guard let step = try? workers[index].probe.receive(bytes) else {
            abort("\(Self.source):655: RPC handshake failed for \(workers[index].endpoint)")
            return
        }
        switch step {
        case .send(let request): workers[index].stream?.send(request)
        case .needsMore: break
        case .done(let answer):
            guard SimulatedRPCServer.version.accepts(server: answer.version) else {
                abort("\(Self.source):655: RPC handshake failed for \(workers[index].endpoint)")
                return
            }
            simulation.safety.uses(self, workerAt: workers[index].endpoint, simulation)
            phase = .connecting(index + 1)
            connectNext()
        }
    }

    // MARK: - Loading

    private func load() {
        let isListening = listen(on: httpPort) { [unowned self] stream in
            stream.onEvent = { [unowned self, unowned stream] event in
                if case .received = event { answerHTTP(stream) }
            }
        }
        guard isListening else {
            say("start: couldn't bind HTTP server socket, hostname: 127.0.0.1")
            exit(.exited(code: 1))
            return
        }
        for (index, worker) in workers.enumerated() {
            say(
                "llama_model_load_from_file_impl: using device RPC\(index) (\(worker.endpoint)) "
                    + "(unknown id) - 8192 MiB free"
            )
        }
        say("load_tensors: loading model tensors, this can take a while... (mmap = false)")
        phase = .loading(step: 0)
        sayLayers()
        // Room for the weights.
        ask(SimulatedRPCServer.Command.allocate)
        if workers.isEmpty { continueLoading() }
    }

    /// llama.cpp gives unit i to the first device whose cumulative share exceeds i / units.
    private func sayLayers() {
        guard let facts = SimulatedModel.facts, !workers.isEmpty else { return }
        let shares = launch.tensorSplit.split(separator: ",").compactMap { Float(String($0)) }
        let sum = shares.reduce(0, +)
        let units = facts.layerCount + 1
        for unit in 0..<units {
            var cumulative: Float = 0
            var holder = 0
            for (index, share) in shares.enumerated() {
                cumulative += share / sum
                holder = index
                if cumulative > Float(unit) / Float(units) { break }
            }
            say("load_tensors: layer \(unit) assigned to device RPC\(holder), is_swa = 0")
        }
        say("load_tensors: offloaded \(units)/\(units) layers to GPU")
    }

    private func continueLoading() {
        guard case .loading(let step) = phase else { return }
        guard !postpones({ [unowned self] in continueLoading() }) else { return }
        if step == Self.loadSteps, host.llamaFaults.has(.neverReady) {
            postponed.append { [unowned self] in continueLoading() }
            return
        }
        tell(.loads(Double(step) / Double(Self.loadSteps)))
        guard step < Self.loadSteps else {
            becomeReady()
            return
        }
        let time = simulation.scenario.model?.loadTime ?? .seconds(1)
        after(time.scaled(by: 1 / Double(Self.loadSteps))) { [self] in
            phase = .loading(step: step + 1)
            ask(SimulatedRPCServer.Command.deviceCount)
            if workers.isEmpty { continueLoading() }
        }
    }

    private func becomeReady() {
        for (index, worker) in workers.enumerated() {
            say("load_tensors: RPC\(index)[\(worker.endpoint)] model buffer size =    10.00 MiB")
        }
        phase = .ready
        say("srv  llama_server: model loaded")
        say("srv  llama_server: listening on http://127.0.0.1:\(httpPort)")
        if let interval = simulation.scenario.model?.requestEvery { awaitRequest(interval) }
    }

    // MARK: - Using the workers

    /// Asks all workers for something, and goes on when all have answered.
    private func ask(_ command: UInt8) {
        for index in workers.indices {
            guard !workers[index].isGone else {
                abort(Self.crashed)
                return
            }
            workers[index].waitsForAnswer = true
            var request: [UInt8] = [command]
            request.append(littleEndian: 0 as UInt64)
            workers[index].stream?.send(request)
        }
    }

    private func answered(_ bytes: [UInt8], _ index: Int) {
        workers[index].bytes += bytes
        var offset = 0
        let all = workers[index].bytes
        guard let length = try? all.span.readLittleEndian(UInt64.self, at: &offset),
            all.count >= 8 + Int(clamping: length)
        else { return }
        workers[index].bytes = []
        workers[index].waitsForAnswer = false
        let isRefused = length == 16 && all.dropFirst(8).allSatisfy { $0 == 0 }
        guard !isRefused else {
            say("llama_model_load: error loading model: unable to allocate RPC\(index) buffer")
            exit(.exited(code: 1))
            return
        }
        guard workers.allSatisfy({ !$0.waitsForAnswer }) else { return }
        switch phase {
        case .connecting: break
        case .loading: continueLoading()
        case .ready: nextToken()
        }
    }

    private func awaitRequest(_ interval: Duration) {
        after(interval) { [self] in
            guard !postpones({ [unowned self] in awaitRequest(interval) }) else { return }
            busyUntil = simulation.now + Self.requestTime.wholeNanoseconds
            ask(SimulatedRPCServer.Command.deviceCount)
            after(Self.requestTime) { [self] in awaitRequest(interval) }
        }
    }

    private func nextToken() {
        after(Self.tokenTime) { [self] in
            guard !host.llamaFaults.has(.hang), simulation.now < busyUntil,
                workers.allSatisfy({ !$0.waitsForAnswer })
            else { return }
            ask(SimulatedRPCServer.Command.deviceCount)
        }
    }

    func abort(_ message: String) {
        guard isAlive else { return }
        say(message)
        exit(.signalled(6))
    }

    private func answerHTTP(_ stream: SimulatedStream) {
        guard !postpones({ [unowned self] in answerHTTP(stream) }) else { return }
        let status: String
        switch phase {
        case .connecting, .loading: status = "503 Service Unavailable"
        case .ready: status = "200 OK"
        }
        stream.send(Array("HTTP/1.1 \(status)\r\nConnection: close\r\n\r\n".utf8))
        stream.close()
    }
}
