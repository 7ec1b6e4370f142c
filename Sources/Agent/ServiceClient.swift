import EventLoop
import Gateway
import Primitives
import Runtime
import Sockets
import Wire

/// Opens streams to named services of members, and hands them out as sockets.
///
/// Everything that crosses devices passes here, so that one place decides how it travels.
actor ServiceClient {
    private nonisolated let loop: PollLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor {
        loop.executor
    }

    private let transport: SocketStreamTransport
    private let header: WireHeader
    private var open: [UInt64: Opening] = [:]
    private var nextOpening: UInt64 = 0

    private struct Opening {
        let request: Frame?
        var connection: (any StreamConnection)?
        var reader = FrameReader()
        let continuation: CheckedContinuation<Result<Int32, GatewayRefusal>, Never>
    }

    private static let timeout: Duration = .seconds(5)

    init(loop: PollLoop, transport: SocketStreamTransport, header: WireHeader) {
        self.loop = loop
        self.transport = transport
        self.header = header
    }

    /// A connected socket to a service of the member at `endpoint`; the caller owns it.
    func connect(
        to service: Service,
        ballot: Ballot?,
        at endpoint: Endpoint
    ) async throws(GatewayRefusal) -> Int32 {
        try await connect(to: endpoint, asking: .openService(service, ballot: ballot))
    }

    /// A connected socket to a server on this machine.
    func connectLocally(to endpoint: Endpoint) async throws(GatewayRefusal) -> Int32 {
        try await connect(to: endpoint, asking: nil)
    }

    private func connect(
        to endpoint: Endpoint,
        asking request: Frame?
    ) async throws(GatewayRefusal) -> Int32 {
        nextOpening += 1
        let id = nextOpening
        let result = await withCheckedContinuation { continuation in
            open[id] = Opening(request: request, continuation: continuation)
            let connection = transport.connect(to: endpoint, timeout: Self.timeout) {
                [self] event in assumeIsolated { $0.happened(event, id, endpoint) }
            }
            open[id]?.connection = connection
            loop.schedule(after: Self.timeout * 2) { [self] in
                assumeIsolated { $0.fail(id, "\(endpoint) did not answer") }
            }
        }
        return try result.get()
    }

    private func happened(_ event: StreamEvent, _ id: UInt64, _ endpoint: Endpoint) {
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
            case .serviceOpened: handOver(id)
            case .serviceRefused(let reason):
                finish(id, .failure(.noModel(phase: nil, message: reason)))
            case .syncRequest, .syncReply, .ping, .ack, .openService, .watch, .watching:
                fail(id, "it answered something else")
            }
        } catch {
            fail(id, "its answer makes no sense: \(error)")
        }
    }

    private func handOver(_ id: UInt64) {
        // A server that speaks first would have bytes here that the socket no longer has.
        guard open[id]?.reader.takeRest().isEmpty == true,
            let stream = open[id]?.connection as? SocketStream,
            let detached = stream.detach(), detached.unsent.isEmpty
        else {
            fail(id, "the stream broke while it was opened")
            return
        }
        open[id]?.connection = nil
        finish(id, .success(detached.descriptor))
    }

    private func fail(_ id: UInt64, _ reason: String) {
        finish(id, .failure(.unreachable(message: reason)))
    }

    private func finish(_ id: UInt64, _ result: Result<Int32, GatewayRefusal>) {
        guard let opening = open.removeValue(forKey: id) else { return }
        opening.connection?.close()
        opening.continuation.resume(returning: result)
    }
}
