import HTTPTypes
import NIOCore
import NIOHTTP1
import Synchronization

/// Answers requests: decides what is asked, and lets the file of that concern answer.
struct GatewayResponder: Sendable {
    let backend: any GatewayBackend
    let limits: GatewayLimits
    let heldBodies: HeldBodies
    /// When the gateway started, in seconds since 1970: OpenAI's `created`.
    let startedAt: Int

    /// Answers one request.
    ///
    /// - Throws: what ends the connection: `HTTPParserError` if the request was no HTTP, anything
    ///   else if the client or the rest of an answer is lost.
    func respond(
        to request: GatewayRequest,
        _ reply: Reply,
        _ connection: ClientConnection
    ) async throws {
        defer { connection.endLongAnswer() }
        do {
            try await dispatch(request, reply, connection)
        } catch let error as APIError where reply.isUnsent {
            try await reply.send(error)
        } catch let refusal as GatewayRefusal where reply.isUnsent {
            try await reply.send(APIError(refusal))
        } catch is BodyTooSlow where reply.isUnsent {
            let seconds = limits.bodyTimeLimit.nanoseconds / 1_000_000_000
            try await reply.send(
                APIError(
                    .requestTimeout,
                    "body_timeout",
                    "The request's body did not arrive within \(seconds) s."
                )
            )
        }
    }

    private func dispatch(
        _ request: GatewayRequest,
        _ reply: Reply,
        _ connection: ClientConnection
    ) async throws {
        let route = try Route.find(request.head.method, request.head.path ?? "")
        if request.head.method == .post { try refuseCrossSite(request) }
        switch route {
        case .dashboard: try await reply.sendDashboard()
        case .health: try await answerHealth(reply)
        case .openAIModels: try await answerOpenAIModels(reply)
        case .openAIModel(let id): try await answerOpenAIModel(id, reply)
        case .cluster: try await reply.send(json: await backend.status())
        case .events: try await streamEvents(reply, connection)
        case .modelFiles: try await answerModelFiles(request, reply, connection)
        case .completion(let path):
            try await withBody(of: request, reply) { body in
                try await proxyCompletion(path, body, reply, connection)
            }
        case .launch:
            try await withBody(of: request, reply) { body in
                try await launch(request, body, reply, connection)
            }
        case .stop:
            try await withBody(of: request, reply) { body in
                try await stop(request, body, reply, connection)
            }
        case .found:
            try await withBody(of: request, reply) { _ in
                try await found(reply)
            }
        case .transfer:
            try await withBody(of: request, reply) { body in
                try await transfer(request, body, reply, connection)
            }
        case .leave:
            try await withBody(of: request, reply) { body in
                try await leave(request, body, reply, connection)
            }
        case .drain:
            try await withBody(of: request, reply) { body in
                try await drain(request, body, reply, connection)
            }
        }
    }

    /// Refuses what another site's page makes a browser send.
    private func refuseCrossSite(_ request: GatewayRequest) throws(APIError) {
        guard let origin = request.head.headerFields[.origin] else { return }
        let host = origin.firstRange(of: "://").map { origin[$0.upperBound...] }
        if let host, let authority = request.head.authority,
            host.lowercased() == authority.lowercased()
        {
            return
        }
        backend.refused("http.crossOrigin", detail: String(origin.prefix(200)))
        throw APIError(
            .forbidden,
            "cross_origin",
            "Requests from pages of other sites are refused; this one came from \(origin)."
        )
    }

    /// Collects a request's body, within the limits, for as long as the closure runs.
    private func withBody(
        of request: GatewayRequest,
        _ reply: Reply,
        _ use: (ByteBuffer) async throws -> Void
    ) async throws {
        let announced = request.head.headerFields[.contentLength].flatMap { Int($0) } ?? 0
        if announced > limits.bodyByteLimit { throw bodyTooLarge() }
        var share = HeldBodies.Share(of: heldBodies)
        if request.head.headerFields[.expect]?.lowercased() == "100-continue" {
            try await reply.welcomeBody()
        }
        var body = ByteBuffer()
        while let bytes = try await request.body.nextBytes() {
            guard body.readableBytes + bytes.readableBytes <= limits.bodyByteLimit else {
                throw bodyTooLarge()
            }
            guard share.take(bytes.readableBytes) else {
                throw APIError(
                    .serviceUnavailable,
                    "too_busy",
                    "Too many large requests at once. Try again shortly.",
                    retryAfterSeconds: 1
                )
            }
            body.writeImmutableBuffer(bytes)
        }
        try await use(body)
    }

    private func bodyTooLarge() -> APIError {
        backend.refused("http.bodyTooLarge", detail: "over \(limits.bodyByteLimit) bytes")
        return APIError(
            .contentTooLarge,
            "body_too_large",
            "The request's body is larger than \(limits.bodyByteLimit) bytes."
        )
    }
}

/// How many bytes of request bodies the gateway holds in all.
final class HeldBodies: Sendable {
    private let byteLimit: Int
    private let byteCount = Mutex(0)

    init(byteLimit: Int) {
        self.byteLimit = byteLimit
    }

    /// What one request holds of it; given back when the request is done.
    struct Share: ~Copyable {
        private let bodies: HeldBodies
        private var byteCount = 0

        init(of bodies: HeldBodies) {
            self.bodies = bodies
        }

        /// Takes more, or nothing if it would be too much.
        mutating func take(_ more: Int) -> Bool {
            let isTaken = bodies.byteCount.withLock { total in
                guard total + more <= bodies.byteLimit else { return false }
                total += more
                return true
            }
            if isTaken { byteCount += more }
            return isTaken
        }

        deinit {
            let held = byteCount
            bodies.byteCount.withLock { $0 -= held }
        }
    }
}
