import EventLoop
import Gateway
import Primitives
import Runtime
import SecureChannel
import Sockets
import Wire

/// A stream to a service that stands, off the loop's hands.
struct OpenedService: Sendable {
    let stream: DetachedStream
    /// The keys of the stream; nil where streams are not sealed.
    let records: RecordLayer?
    let node: NodeID?

    init(stream: DetachedStream, records: RecordLayer?, node: NodeID?) {
        self.stream = stream
        self.records = records
        self.node = node
    }

    /// Takes a connection off the loop; nil if it is not open any more.
    init?(detaching connection: any StreamConnection, node: NodeID?) {
        if let sealed = connection as? SealedStream {
            guard let detached = sealed.detach() else { return nil }
            self.init(stream: detached.stream, records: detached.records, node: node)
        } else {
            guard let stream = connection as? SocketStream, let detached = stream.detach(),
                detached.unsent.isEmpty
            else { return nil }
            self.init(stream: detached, records: nil, node: node)
        }
    }
}

/// A stream to a service that stands and is still in the loop's hands; used on the loop only.
final class HeldService: @unchecked Sendable {
    private let connection: any StreamConnection
    private let node: NodeID?
    /// Hears what comes, and the end.
    var onEvent: (@Sendable (StreamEvent) -> Void)?

    init(_ connection: any StreamConnection, node: NodeID?) {
        self.connection = connection
        self.node = node
    }

    fileprivate func handle(_ event: StreamEvent) { onEvent?(event) }

    func send(_ bytes: [UInt8]) { connection.send(bytes) }

    func close() {
        onEvent = nil
        connection.close()
    }

    /// Takes the stream off the loop; nil if it has ended.
    func take() -> OpenedService? {
        onEvent = nil
        return OpenedService(detaching: connection, node: node)
    }
}

/// Opens streams to named services of members.
///
/// Everything that crosses devices passes here, so that one place decides how it travels.
actor ServiceClient {
    private nonisolated let loop: PollLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor {
        loop.executor
    }

    private let agents: any StreamTransport
    private let servers: any StreamTransport
    private let relay: Relay
    private let header: WireHeader
    private var open: [UInt64: Opening] = [:]
    private var nextOpening: UInt64 = 0
    /// Streams that stand and that nobody has taken off the loop yet.
    private var held: [UInt64: HeldService] = [:]

    private struct Opening {
        let request: Frame?
        /// Who must answer; nil for a server on this machine.
        let node: NodeID?
        var connection: (any StreamConnection)?
        var reader = FrameReader()
        let completion: Completion
    }

    private enum Completion {
        /// The stream is taken off the loop.
        case opens(@Sendable (Result<OpenedService, GatewayRefusal>) -> Void)
        /// The stream stays on the loop for now.
        case holds(@Sendable (Result<HeldService, GatewayRefusal>) -> Void)
    }

    private static let timeout: Duration = .seconds(5)

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
                asking: .openService(service, ballot: ballot),
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
                asking: nil,
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
        completion: @escaping @Sendable (Result<OpenedService, GatewayRefusal>) -> Void
    ) {
        assumeIsolated {
            $0.begin(
                endpoint,
                asking: .openService(service, ballot: ballot),
                of: node,
                .opens(completion)
            )
        }
    }

    /// Opens a service whose stream stays on the loop until it is taken; the completion comes on
    /// the loop.
    nonisolated func hold(
        _ service: Service,
        ballot: Ballot?,
        of node: NodeID,
        at endpoint: Endpoint,
        completion: @escaping @Sendable (Result<HeldService, GatewayRefusal>) -> Void
    ) {
        assumeIsolated {
            $0.begin(
                endpoint,
                asking: .openService(service, ballot: ballot),
                of: node,
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
        asking request: Frame?,
        of node: NodeID?,
        _ completion: Completion
    ) {
        nextOpening += 1
        let id = nextOpening
        open[id] = Opening(request: request, node: node, completion: completion)
        let transport = request == nil ? servers : agents
        let connection = transport.connect(to: endpoint, timeout: Self.timeout) {
            [self] event in assumeIsolated { $0.happened(event, id, endpoint) }
        }
        open[id]?.connection = connection
        loop.schedule(after: Self.timeout * 2) { [self] in
            assumeIsolated { $0.fail(id, "\(endpoint) did not answer") }
        }
    }

    private func happened(_ event: StreamEvent, _ id: UInt64, _ endpoint: Endpoint) {
        if let service = held[id] {
            if case .closed = event { held.removeValue(forKey: id) }
            service.handle(event)
            return
        }
        guard let opening = open[id] else { return }
        switch event {
        case .opened:
            guard let request = opening.request else {
                handOver(id)
                return
            }
            var bytes: [UInt8] = []
            header.encode(into: &bytes)
            opening.connection?.send(bytes + request.encoded)
        case .received(let bytes):
            open[id]?.reader.append(bytes)
            readAnswer(id)
        case .closed(let closure): fail(id, "\(endpoint): \(closure)")
        }
    }

    private func readAnswer(_ id: UInt64) {
        do throws(WireError) {
            switch try open[id]?.reader.next(cluster: header.cluster) {
            case nil: break
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
        guard let opening = open[id], opening.reader.takesNothingMore,
            let connection = opening.connection
        else {
            fail(id, "the stream broke while it was opened")
            return
        }
        if case .holds(let completion) = opening.completion {
            let service = HeldService(connection, node: opening.node)
            held[id] = service
            open[id] = nil
            completion(.success(service))
            return
        }
        guard let opened = OpenedService(detaching: connection, node: opening.node) else {
            fail(id, "the stream broke while it was opened")
            return
        }
        open[id]?.connection = nil
        finish(id, .success(opened))
    }

    private func fail(_ id: UInt64, _ reason: String) {
        finish(id, .failure(.unreachable(message: reason)))
    }

    private func finish(_ id: UInt64, _ result: Result<OpenedService, GatewayRefusal>) {
        guard let opening = open.removeValue(forKey: id) else { return }
        opening.connection?.close()
        switch opening.completion {
        case .opens(let completion): completion(result)
        case .holds(let completion):
            // What stands is handed over elsewhere.
            if case .failure(let refusal) = result { completion(.failure(refusal)) }
        }
    }
}

extension FrameReader {
    fileprivate var takesNothingMore: Bool { unreadByteCount == 0 }
}
