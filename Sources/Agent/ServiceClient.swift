import EventLoop
import Gateway
import Primitives
import Runtime
import SecureChannel
import Sockets
import Wire

/// Opens streams to named services of members.
///
/// Everything that crosses devices passes here, so that one place decides how it travels.
actor ServiceClient {
    nonisolated let loop: PollLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor {
        loop.executor
    }

    let agents: any StreamTransport
    private let servers: any StreamTransport
    private let relay: Relay
    private let header: WireHeader
    var open: [UInt64: ServiceOpening] = [:]
    private var nextOpening: UInt64 = 0
    private(set) var dialBacks: DialBacks?
    /// Streams that stand and that nobody has taken off the loop yet.
    private var held: [UInt64: HeldService] = [:]

    var spares = SpareStreams()

    static let timeout: Duration = .seconds(5)
    /// After so long a member is asked to dial, too, and again: firewalls often just say nothing.
    private static let patience: Duration = .seconds(1)

    /// - Parameters:
    ///   - agents: to other agents.
    ///   - servers: to servers on this machine.
    init(
        loop: PollLoop,
        agents: any StreamTransport,
        servers: any StreamTransport,
        relay: Relay,
        header: WireHeader
    ) {
        self.loop = loop
        self.agents = agents
        self.servers = servers
        self.relay = relay
        self.header = header
    }

    func begin(_ dialBacks: DialBacks) {
        self.dialBacks = dialBacks
    }

    /// A connected socket to a service of a member; the caller owns it.
    func connect(
        to service: Service,
        ballot: Ballot?,
        of node: NodeID,
        at endpoint: Endpoint
    ) async throws(GatewayRefusal) -> Int32 {
        let result = await withCheckedContinuation { continuation in
            begin(
                endpoint,
                asking: [.openService(service, ballot: ballot)],
                of: node,
                .opens { continuation.resume(returning: $0) }
            )
        }
        return try plainSocket(try result.get())
    }

    /// A connected socket to a server on this machine.
    func connectLocally(to endpoint: Endpoint) async throws(GatewayRefusal) -> Int32 {
        let result = await withCheckedContinuation { continuation in
            begin(
                endpoint,
                asking: [],
                of: nil,
                .opens { continuation.resume(returning: $0) }
            )
        }
        return try plainSocket(try result.get())
    }

    /// Opens a service; the completion comes on the loop.
    nonisolated func open(
        _ service: Service,
        ballot: Ballot?,
        of node: NodeID,
        at endpoint: Endpoint,
        offering features: ServiceFeatures = [],
        completion: @escaping @Sendable (Result<OpenedService, GatewayRefusal>) -> Void
    ) {
        assumeIsolated {
            $0.begin(
                endpoint,
                asking: [.openService(service, ballot: ballot)],
                of: node,
                offering: features,
                .opens(completion)
            )
        }
    }

    /// Opens a service whose stream stays on the loop until it is taken; the completion comes on
    /// the loop.
    ///
    /// - Parameter first: what the service is asked at once; it may be asked twice.
    nonisolated func hold(
        _ service: Service,
        ballot: Ballot?,
        of node: NodeID,
        at endpoint: Endpoint,
        offering features: ServiceFeatures = [],
        saying first: [UInt8] = [],
        completion: @escaping @Sendable (Result<HeldService, GatewayRefusal>) -> Void
    ) {
        assumeIsolated {
            $0.begin(
                endpoint,
                asking: [.openService(service, ballot: ballot)],
                of: node,
                offering: features,
                saying: first,
                .holds(completion)
            )
        }
    }

    /// A sealed stream gets a socket before it that carries opened bytes, on this machine.
    private func plainSocket(_ opened: OpenedService) throws(GatewayRefusal) -> Int32 {
        guard let records = opened.records else { return opened.stream.descriptor }
        do throws(SocketError) {
            let (ours, theirs) = try DetachedStream.pair()
            relay.join(
                ours,
                opened.stream,
                options: RelayOptions(
                    secondRecords: records,
                    tag: RelayTag(node: opened.node)
                )
            )
            return theirs.descriptor
        } catch {
            relay.discard(opened.stream)
            throw .unreachable(message: "\(error)")
        }
    }

    private func begin(
        _ endpoint: Endpoint,
        asking question: [Frame],
        of node: NodeID?,
        offering features: ServiceFeatures = [],
        saying first: [UInt8] = [],
        _ completion: ServiceOpening.Completion
    ) {
        // An agent that does not know the first frame passes it over.
        let offer: [Frame] = features.isEmpty ? [] : [.serviceFeatures(features)]
        nextOpening += 1
        let id = nextOpening
        open[id] = ServiceOpening(
            request: offer + question,
            first: first,
            node: node,
            offered: features,
            completion: completion
        )
        if let node, dialBacks?.isBetter(node) == true {
            open[id]?.dialFailure = "it cannot be dialled"
            askToDial(id, node, endpoint)
        } else if let node, useSpare(id, node, endpoint) {
            askSoon(id, node, endpoint)
        } else {
            dial(question.isEmpty ? servers : agents, id, endpoint)
            if let node { askSoon(id, node, endpoint) }
        }
        loop.schedule(after: Self.timeout * 2) { [self] in
            assumeIsolated { $0.fail(id, "\(endpoint) did not answer") }
        }
    }

    func dial(_ transport: any StreamTransport, _ id: UInt64, _ endpoint: Endpoint) {
        let connection = transport.connect(to: endpoint, timeout: Self.timeout) {
            [self] event in assumeIsolated { $0.happened(event, id, .dialled, endpoint) }
        }
        open[id]?.connections[.dialled] = connection
    }

    // MARK: - Members that cannot be dialled

    /// Asks the member to open the stream, if none stands yet.
    private func askToDial(_ id: UInt64, _ node: NodeID, _ endpoint: Endpoint) {
        guard let dialBacks, let opening = open[id], opening.way == nil, !opening.isAsked else {
            return
        }
        open[id]?.isAsked = true
        dialBacks.ask(
            node,
            { [self] connection in
                assumeIsolated { $0.dialledBack(connection, id, node, endpoint) }
            },
            { [self] in assumeIsolated { $0.neverDialledBack(id, node, endpoint) } }
        )
    }

    func askSoon(_ id: UInt64, _ node: NodeID, _ endpoint: Endpoint) {
        loop.schedule(after: Self.patience) { [self] in
            assumeIsolated { $0.askToDial(id, node, endpoint) }
        }
    }

    private func dialledBack(
        _ connection: any StreamConnection,
        _ id: UInt64,
        _ node: NodeID,
        _ endpoint: Endpoint
    ) -> @Sendable (StreamEvent) -> Void {
        guard let opening = open[id], opening.way == nil else {
            loop.execute { connection.close() }
            return { _ in }
        }
        if opening.dialFailure == nil { dialBacks?.failed(node, .timedOut) }
        open[id]?.connections[.dialledBack] = connection
        // What follows may take the stream away, which is not ours before this has returned.
        loop.execute { [self] in
            assumeIsolated { $0.happened(.opened, id, .dialledBack, endpoint) }
        }
        return { [self] event in
            assumeIsolated { $0.happened(event, id, .dialledBack, endpoint) }
        }
    }

    private func neverDialledBack(_ id: UInt64, _ node: NodeID, _ endpoint: Endpoint) {
        guard let opening = open[id], opening.way == nil else { return }
        open[id]?.isAsked = false
        if let failure = opening.dialFailure, !opening.isSilent {
            fail(id, "\(endpoint): \(failure)")
        } else {
            // Devices that have just met keep no idle stream yet, over which to ask.
            askSoon(id, node, endpoint)
        }
    }

    /// The member could not be dialled: it may be able to dial.
    private func dialFailed(_ id: UInt64, _ closure: StreamClosure, _ endpoint: Endpoint) {
        guard let opening = open[id] else { return }
        guard let dialBacks, let node = opening.node, closure.isNoWay else {
            return fail(id, "\(endpoint): \(closure)")
        }
        dialBacks.failed(node, closure)
        open[id]?.dialFailure = "\(closure)"
        open[id]?.isSilent = closure == .timedOut
        // Who is silent is asked already, or soon.
        if closure != .timedOut { askToDial(id, node, endpoint) }
    }

    // MARK: - What happens

    func happened(
        _ event: StreamEvent,
        _ id: UInt64,
        _ way: StreamWay,
        _ endpoint: Endpoint
    ) {
        if let service = held[id] {
            guard service.way == way else { return }
            if case .closed = event { held.removeValue(forKey: id) }
            service.handle(event)
            return
        }
        guard let opening = open[id] else { return }
        // The other way was faster.
        if let standing = opening.way, standing != way { return }
        switch event {
        case .opened:
            open[id]?.way = way
            for (other, connection) in opening.connections where other != way {
                connection.close()
            }
            guard !opening.request.isEmpty else {
                handOver(id)
                return
            }
            var bytes: [UInt8] = []
            header.encode(into: &bytes)
            let request = opening.request.reduce(into: bytes) { $0 += $1.encoded }
            opening.connections[way]?.send(request + opening.first)
        case .received(let bytes):
            open[id]?.spare = nil
            open[id]?.reader.append(bytes)
            readAnswer(id)
        case .closed(let closure):
            if way == .dialled, opening.spare != nil {
                redial(id, endpoint)
            } else if opening.way == nil, way == .dialled {
                dialFailed(id, closure, endpoint)
            } else {
                fail(id, "\(endpoint): \(closure)")
            }
        }
    }

    private func readAnswer(_ id: UInt64) {
        do throws(WireError) {
            switch try open[id]?.reader.next(cluster: header.cluster) {
            case nil: break
            case .serviceFeatures(let features):
                guard let offered = open[id]?.offered, offered.isSuperset(of: features) else {
                    fail(id, "it takes what it was not offered")
                    return
                }
                open[id]?.features = features
                readAnswer(id)
            case .serviceOpened:
                guard let opening = open[id], opening.reader.header?.sender == opening.node else {
                    fail(id, "another device answered there")
                    return
                }
                handOver(id)
            case .serviceRefused(let reason):
                finish(id, .failure(.noModel(phase: nil, message: reason)))
            default: fail(id, "it answered something else")
            }
        } catch {
            fail(id, "its answer makes no sense: \(error)")
        }
    }

    private func handOver(_ id: UInt64) {
        // A server that speaks first would have bytes here that the socket no longer has.
        guard let opening = open[id],
            opening.reader.takesNothingMore || !opening.first.isEmpty,
            let connection = opening.connection
        else {
            fail(id, "the stream broke while it was opened")
            return
        }
        if case .holds(let completion) = opening.completion {
            let service = HeldService(
                connection,
                node: opening.node,
                features: opening.features,
                way: opening.way ?? .dialled
            )
            held[id] = service
            var reader = opening.reader
            open[id] = nil
            completion(.success(service))
            // It may have answered already what it was asked with the opening.
            let rest = reader.takeRest()
            if !rest.isEmpty { service.handle(.received(rest)) }
            return
        }
        guard
            let opened = OpenedService(
                detaching: connection,
                node: opening.node,
                features: opening.features
            )
        else {
            fail(id, "the stream broke while it was opened")
            return
        }
        open[id]?.connections = [:]
        finish(id, .success(opened))
    }

    private func fail(_ id: UInt64, _ reason: String) {
        finish(id, .failure(.unreachable(message: reason)))
    }

    private func finish(_ id: UInt64, _ result: Result<OpenedService, GatewayRefusal>) {
        guard let opening = open.removeValue(forKey: id) else { return }
        for connection in opening.connections.values { connection.close() }
        switch opening.completion {
        case .opens(let completion): completion(result)
        case .holds(let completion):
            // What stands is handed over elsewhere.
            if case .failure(let refusal) = result { completion(.failure(refusal)) }
        }
    }
}
