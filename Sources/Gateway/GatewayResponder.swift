import HTTPTypes
import NIOCore
import NIOHTTP1
import Synchronization

/// Answers requests: decides what is asked, and lets the file of that concern answer.
struct GatewayResponder: Sendable {
    let backend: any GatewayBackend
    let access: GatewayAccess
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
        try refuseStrangers(request, route, connection)
        switch route {
        case .dashboard: try await reply.sendDashboard()
        case .health: try await answerHealth(reply)
        case .openAIModels: try await answerOpenAIModels(reply)
        case .openAIModel(let id): try await answerOpenAIModel(id, reply)
        case .cluster: try await reply.send(json: await backend.status())
        case .events: try await streamEvents(reply, connection)
        case .network: try await reply.send(json: await backend.network())
        case .modelFiles: try await answerModelFiles(request, reply, connection)
        case .modelFile(let name):
            try await answerModelFile(name, request, reply, connection)
        case .logs: try await answerLogs(request, reply, connection)
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

    /// Lets through whoever may ask this, and counts who may not.
    private func refuseStrangers(
        _ request: GatewayRequest,
        _ route: Route,
        _ connection: ClientConnection
    ) throws(APIError) {
        do {
            let caller = GatewayAccess.Caller(connection.channel)
            try access.check(request.head, for: route, from: caller)
        } catch {
            let reason =
                switch error.code {
                case "cross_origin": "http.crossOrigin"
                case "host_not_allowed", "ambiguous_host": "http.host"
                default: "http.token"
                }
            backend.refused(reason, detail: "\(connection.peer): \(error.message.prefix(200))")
            throw error
        }
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
