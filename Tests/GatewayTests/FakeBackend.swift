import Diagnosis
import Foundation
import Gateway
import Logging
import Primitives
import Synchronization
import Testing

/// An agent as its gateway sees it, set by the test.
final class FakeBackend: GatewayBackend {
    struct State {
        var status = ClusterStatus.idle
        var models: [ModelFile] = []
        var files: [String: [UInt8]] = [:]
        var logLines: [String] = []
        var isMaster = true
        var launched: [LaunchRequest] = []
        var stopCount = 0
        var refused: [String] = []
        var refusal: GatewayRefusal?
        var asked: [String] = []
        var ports: [MasterService: UInt16] = [:]
        var watchers: [Int: AsyncStream<ClusterStatus>.Continuation] = [:]
        var watcherCount = 0
    }

    private let state: Mutex<State>

    init(_ change: (inout State) -> Void = { _ in }) {
        var state = State()
        change(&state)
        self.state = Mutex(state)
    }

    func with<Value: Sendable>(_ body: (inout sending State) -> sending Value) -> Value {
        state.withLock { body(&$0) }
    }

    func publish(_ status: ClusterStatus) {
        let watchers = state.withLock { state in
            state.status = status
            return Array(state.watchers.values)
        }
        for watcher in watchers { watcher.yield(status) }
    }

    func status() async -> ClusterStatus {
        state.withLock { $0.status }
    }

    func statusUpdates() -> AsyncStream<ClusterStatus> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: ClusterStatus.self,
            bufferingPolicy: .bufferingNewest(1)
        )
        let id = state.withLock { state in
            state.watcherCount += 1
            state.watchers[state.watcherCount] = continuation
            continuation.yield(state.status)
            return state.watcherCount
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { _ = $0.watchers.removeValue(forKey: id) }
        }
        return stream
    }

    func network() async -> NetworkFacts {
        NetworkFacts(interfaces: [], agent: nil)
    }

    func models() async -> [ModelFile] {
        state.withLock { $0.models }
    }

    func modelFile(_ name: String) async -> ServedFile? {
        guard let bytes = state.withLock({ $0.files[name] }) else { return nil }
        return ServedFile(byteCount: UInt64(bytes.count), tag: "\"v1\"") { offset, count in
            Array(bytes.dropFirst(Int(offset)).prefix(count))
        }
    }

    func logLines(
        _ request: LogRequest
    ) async throws(GatewayRefusal) -> AsyncThrowingStream<[UInt8], any Error> {
        try ask("log \(request.lineCount) \(request.minimumLevel) \(request.follows)")
        let lines = state.withLock { $0.logLines }
        return AsyncThrowingStream { continuation in
            for line in lines { continuation.yield(Array("\(line)\n".utf8)) }
            if !request.follows { continuation.finish() }
        }
    }

    func launch(_ request: LaunchRequest) async throws(GatewayRefusal) {
        try state.withLock { state throws(GatewayRefusal) in
            if let refusal = state.refusal { throw refusal }
            guard state.isMaster else { throw .notMaster(master: "m") }
            state.launched.append(request)
        }
    }

    func stopModel() async throws(GatewayRefusal) {
        try state.withLock { state throws(GatewayRefusal) in
            guard state.isMaster else { throw .notMaster(master: "m") }
            state.stopCount += 1
        }
    }

    private func ask(_ what: String) throws(GatewayRefusal) {
        try state.withLock { state throws(GatewayRefusal) in
            if let refusal = state.refusal { throw refusal }
            state.asked.append(what)
        }
    }

    func found() async throws(GatewayRefusal) { try ask("found") }

    func transfer(to node: String) async throws(GatewayRefusal) {
        guard state.withLock({ $0.isMaster }) else { throw .notMaster(master: "m") }
        try ask("transfer \(node)")
    }

    func leave() async throws(GatewayRefusal) -> [String] {
        try ask("leave")
        return ["it rains"]
    }

    func drain(_ isDrained: Bool) async throws(GatewayRefusal) -> [String] {
        try ask("drain \(isDrained)")
        return []
    }

    func connect(toGatewayOf node: String) async throws(GatewayRefusal) -> Int32 {
        try ask("gateway \(node)")
        return try await connect(to: .gateway)
    }

    func connect(to service: MasterService) async throws(GatewayRefusal) -> Int32 {
        let port = try state.withLock { state throws(GatewayRefusal) in
            if let refusal = state.refusal { throw refusal }
            return state.ports[service]
        }
        guard let port else { throw .unreachable(message: "no port in this test") }
        do {
            return try await connectedSocket(port: port)
        } catch {
            throw .unreachable(message: "\(error)")
        }
    }

    func refused(_ reason: String, detail: String) {
        state.withLock { $0.refused.append(reason) }
    }

    func log(_ record: LogRecord) {}
}

extension ClusterStatus {
    static let idle = ClusterStatus(
        self: "00000000000000000000000000000001",
        cluster: "home",
        master: "00000000000000000000000000000001",
        ballot: Ballot(term: 3, node: "00000000000000000000000000000001"),
        members: [],
        model: nil,
        refused: [:],
        warnings: []
    )

    /// The idle cluster, with a model.
    static func model(_ phase: String, _ message: String = "", name: String = "tiny.gguf") -> Self {
        var status = idle
        status.model = Model(
            name: name,
            phase: phase,
            message: message,
            progress: nil,
            context: 4096,
            split: [],
            layers: []
        )
        return status
    }
}

/// Runs a gateway on a free port while the closure runs.
func withGateway(
    _ backend: FakeBackend,
    tokens: any TokenVerifier = NoTokens(),
    isOpen: Bool = false,
    limits: GatewayLimits = GatewayLimits(),
    _ use: (UInt16) async throws -> Void
) async throws {
    let (ports, continuation) = AsyncStream.makeStream(of: UInt16.self)
    var logger = Logger(label: "gateway")
    logger.logLevel = .critical
    let server = GatewayServer(
        backend: backend,
        host: "127.0.0.1",
        port: 0,
        tokens: tokens,
        isOpen: isOpen,
        limits: limits,
        logger: logger
    ) { continuation.yield($0) }
    let running = Task { try await server.run() }
    for await port in ports {
        let result: Result<Void, any Error>
        do {
            result = .success(try await use(port))
        } catch {
            result = .failure(error)
        }
        running.cancel()
        try await running.value
        return try result.get()
    }
}

enum Gateways {
    /// A client for a gateway of this test.
    static func client(_ port: UInt16) throws -> GatewayClient {
        GatewayClient(endpoint: try #require(Endpoint("127.0.0.1:\(port)")))
    }
}
