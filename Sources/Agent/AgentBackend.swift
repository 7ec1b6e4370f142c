import Diagnosis
import Gateway
import LayerPlacement
import LeaderElection
import Primitives
import Runtime
import SWIM
import Sockets
import Telemetry
import Wire

/// The agent, as its HTTP gateway sees it.
final class AgentBackend: GatewayBackend {
    private let core: AgentCore
    private let loop: PollLoop
    private let observer: AgentObserver
    private let services: ServiceClient
    private let folder: ModelsFolder
    private let logFolder: String
    private let configuration: CoreConfiguration
    private let left = AsyncStream.makeStream(of: Void.self)

    /// How long an agent that leaves goes on, so that its answer gets through.
    private static let farewell: Duration = .milliseconds(300)

    init(
        core: AgentCore,
        loop: PollLoop,
        observer: AgentObserver,
        services: ServiceClient,
        folder: ModelsFolder,
        logFolder: String,
        configuration: CoreConfiguration
    ) {
        self.core = core
        self.loop = loop
        self.observer = observer
        self.services = services
        self.folder = folder
        self.logFolder = logFolder
        self.configuration = configuration
    }

    /// Runs a piece of work on the loop and waits for what it gives.
    private func onLoop<Value: Sendable>(
        _ work: @escaping @Sendable () -> Value
    ) async -> Value {
        await withCheckedContinuation { continuation in
            loop.execute { continuation.resume(returning: work()) }
        }
    }

    func status() async -> ClusterStatus {
        await onLoop { [core, observer] in observer.status(of: core) }
    }

    func statusUpdates() -> AsyncStream<ClusterStatus> {
        let stream = observer.hub.follow()
        loop.execute { [core, observer] in
            observer.publish(core)
        }
        return stream
    }

    func network() async -> NetworkFacts {
        await onLoop { [observer] in
            observer.network() ?? NetworkFacts(interfaces: NetworkSurvey.interfaces(), agent: nil)
        }
    }

    func models() async -> [ModelFile] {
        folder.list()
    }

    func modelFile(_ name: String) async -> ServedFile? {
        await folder.serve(name)
    }

    func logLines(
        _ request: LogRequest
    ) async throws(GatewayRefusal) -> AsyncThrowingStream<[UInt8], any Error> {
        let tail = LogTail(
            directory: logFolder,
            minimumLevel: request.minimumLevel,
            lineCount: request.lineCount
        )
        var reading = LogReading(tail, follows: request.follows)
        let first: [LogLine]?
        do {
            first = try await reading.next()
        } catch {
            throw .conflict(code: "no_log", message: "This agent writes no log file: \(error).")
        }
        let rest = RestOfLog(reading, first ?? [])
        return AsyncThrowingStream { try await rest.next() }
    }

    func launch(_ request: LaunchRequest) async throws(GatewayRefusal) {
        let context = request.context ?? Int(WantedModel.defaultContext)
        guard (1...1 << 30).contains(context) else {
            throw .badModel(
                message: "A context of \(context) tokens makes no sense: give 1 or more"
            )
        }
        guard request.model.utf8.count <= WantedModel.nameByteLimit, !request.model.isEmpty else {
            throw .badModel(
                message: "A model's name has 1 to \(WantedModel.nameByteLimit) bytes"
            )
        }
        try await requireMaster()
        let model = WantedModel(name: request.model, context: UInt32(context))
        do {
            _ = try folder.facts(of: model)
        } catch {
            throw .badModel(message: error.message)
        }
        try await want(model)
    }

    func stopModel() async throws(GatewayRefusal) {
        try await requireMaster()
        try await want(nil)
    }

    private func requireMaster() async throws(GatewayRefusal) {
        let master = await onLoop { [core] in core.snapshot().master }
        guard let master else { throw .noMaster }
        guard master.node == configuration.node else {
            throw .notMaster(master: master.node.description)
        }
    }

    private func want(_ model: WantedModel?) async throws(GatewayRefusal) {
        guard await onLoop({ [core] in core.want(model) }) else { throw .noMaster }
    }

    func found() async throws(GatewayRefusal) {
        guard configuration.election.policy == .quorum else {
            throw .conflict(
                code: "policy_available",
                message: "There is nothing to found: start the agents with --policy quorum if "
                    + "there must never be two masters."
            )
        }
        guard await onLoop({ [core] in core.found() }) else {
            throw .conflict(
                code: "already_founded",
                message: "This device belongs to a cluster already; see `caravan status`."
            )
        }
    }

    func transfer(to node: String) async throws(GatewayRefusal) {
        guard let target = NodeID(node) else {
            throw .conflict(code: "unknown_device", message: "\(node) is no node")
        }
        try await requireMaster()
        let (outcome, names) = await withCheckedContinuation { continuation in
            loop.execute { [core] in
                core.transfer(to: target) { outcome in
                    continuation.resume(returning: (outcome, core.snapshot().view))
                }
            }
        }
        guard outcome.isDone else {
            throw .conflict(
                code: "transfer_\(outcome.reason)",
                message: outcome.sentence(names: names) + "."
            )
        }
    }

    func leave() async throws(GatewayRefusal) -> [String] {
        let notes = try await depart(isForGood: true)
        loop.execute { [self] in
            loop.schedule(after: Self.farewell) { [self] in left.continuation.finish() }
        }
        return notes
    }

    func drain(_ isDrained: Bool) async throws(GatewayRefusal) -> [String] {
        if isDrained { return try await depart(isForGood: false) }
        return await onLoop { [core] in
            core.undrain()
            return []
        }
    }

    private func depart(isForGood: Bool) async throws(GatewayRefusal) -> [String] {
        let report: DepartureReport? = await withCheckedContinuation { continuation in
            loop.execute { [core] in
                let hasBegun = core.depart(isForGood: isForGood) { report in
                    continuation.resume(returning: report)
                }
                if !hasBegun { continuation.resume(returning: nil) }
            }
        }
        guard let report else {
            throw .conflict(
                code: "busy",
                message: "This device is leaving, or being drained, already."
            )
        }
        return report.notes
    }

    /// Returns once this device was asked to leave and has.
    func untilLeft() async {
        for await _ in left.stream {}
    }

    func connect(toGatewayOf node: String) async throws(GatewayRefusal) -> Int32 {
        let snapshot = await onLoop { [core] in core.snapshot() }
        guard let member = snapshot.view.first(where: { $0.id.description == node }) else {
            throw .unreachable(message: "\(node) is not there any more")
        }
        return try await services.connect(
            to: .gateway,
            ballot: nil,
            of: member.id,
            at: member.endpoint
        )
    }

    func connect(to service: MasterService) async throws(GatewayRefusal) -> Int32 {
        let snapshot = await onLoop { [core] in core.snapshot() }
        guard let master = snapshot.master else { throw .noMaster }
        if master.node == configuration.node {
            switch service {
            case .gateway: return try await services.connectLocally(to: configuration.gateway)
            case .llamaServer:
                guard let endpoint = snapshot.llamaEndpoint else {
                    throw .noModel(
                        phase: snapshot.report?.phase.name,
                        message: snapshot.report?.message ?? "No model was launched"
                    )
                }
                return try await services.connectLocally(to: endpoint)
            }
        }
        guard let member = snapshot.view.first(where: { $0.id == master.node }) else {
            throw .noMaster
        }
        if service == .llamaServer, snapshot.report?.phase != .ready {
            throw .noModel(
                phase: snapshot.report?.phase.name,
                message: snapshot.report?.message ?? "No model was launched"
            )
        }
        let isGateway = service == .gateway
        return try await services.connect(
            to: isGateway ? .gateway : .llamaServer,
            // What the master's gateway is asked may be to give way: under its ballot the stream
            // would be closed, before its answer, when it obeys another one.
            ballot: isGateway ? nil : master,
            of: master.node,
            at: member.endpoint
        )
    }

    func refused(_ reason: String, detail: String) {
        observer.refused(reason, detail: detail)
    }

    func log(_ record: LogRecord) {
        observer.log(record)
    }
}

/// What is still to come of a log; one reader at a time.
private actor RestOfLog {
    private var reading: LogReading
    private var ready: [LogLine]

    init(_ reading: LogReading, _ first: [LogLine]) {
        self.reading = reading
        ready = first
    }

    /// Some lines, each with its end; nil when there are no more.
    func next() async throws -> [UInt8]? {
        while ready.isEmpty {
            var reading = reading
            guard let more = try await reading.next() else { return nil }
            self.reading = reading
            ready = more
        }
        defer { ready = [] }
        return ready.flatMap { Array($0.json.utf8) + [UInt8(ascii: "\n")] }
    }
}
