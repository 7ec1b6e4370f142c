import NIOCore
import NIOHTTP1
package import Primitives

/// Asks an agent's gateway, for the command line and for tests.
package struct GatewayClient: Sendable {
    /// A whole response.
    package struct Response: Sendable {
        package var status: Int
        /// Names in lower case.
        package var headers: [String: String]
        package var body: [UInt8]

        /// The body as text.
        package var text: String { String(decoding: body, as: UTF8.self) }
    }

    package enum Method: String, Sendable {
        case get = "GET"
        case post = "POST"
    }

    /// The largest response that `get` and `post` take, in bytes.
    package static let responseByteLimit = 16 << 20
    /// How many events `stream` keeps for a reader that is busy.
    package static let eventLimit = 4096

    private let endpoint: Endpoint
    private let token: String?

    /// - Parameter token: what the agent takes from other devices; on its own one none is needed.
    package init(endpoint: Endpoint, token: String? = nil) {
        self.endpoint = endpoint
        self.token = token
    }

    /// - Throws: `GatewayClientError`.
    package func get(
        _ path: String,
        timeLimit: Duration = .seconds(30)
    ) async throws -> Response {
        try await whole(.get, path, [], timeLimit)
    }

    /// Sends JSON.
    ///
    /// - Throws: `GatewayClientError`.
    package func post(
        _ path: String,
        json: [UInt8],
        timeLimit: Duration = .seconds(30)
    ) async throws -> Response {
        try await whole(.post, path, json, timeLimit)
    }

    /// The events of a stream, as they come; it ends when the gateway ends it.
    ///
    /// Leaving the loop closes the connection. A reader that falls `eventLimit` events behind gets
    /// an error rather than a gap.
    package func stream(
        _ path: String,
        method: Method = .get,
        body: [UInt8] = []
    ) -> AsyncThrowingStream<ServerSentEvent, any Error> {
        AsyncThrowingStream(bufferingPolicy: .bufferingOldest(Self.eventLimit)) { continuation in
            let work = Task {
                do {
                    try await readEvents(method, path, body) { event in
                        if case .dropped = continuation.yield(event) {
                            throw GatewayClientError.tooSlow
                        }
                    }
                    continuation.finish()
                } catch {
                    continuation.finish(throwing: error)
                }
            }
            continuation.onTermination = { _ in work.cancel() }
        }
    }

    /// The bytes of a long answer, as they come, at the reader's pace.
    ///
    /// - Parameters:
    ///   - onHead: gets the answer's head, with an empty body, before any bytes.
    ///   - onBytes: may throw, which ends the connection.
    /// - Throws: `GatewayClientError`; `refused` for an answer that is an error.
    package func read(
        _ path: String,
        headers: [String: String] = [:],
        onHead: (Response) throws -> Void = { _ in },
        onBytes: ([UInt8]) throws -> Void
    ) async throws {
        try await exchange(.get, path, [], headers: headers, timeLimit: nil) { head, parts in
            guard head.status.code < 300 else {
                let body = try await parts.collect(upTo: Self.responseByteLimit)
                throw GatewayClientError.refused(Self.response(head, body))
            }
            try onHead(Self.response(head, ByteBuffer()))
            while let bytes = try await parts.next() { try onBytes(Array(bytes.readableBytesView)) }
        }
    }

    private func whole(
        _ method: Method,
        _ path: String,
        _ body: [UInt8],
        _ timeLimit: Duration
    ) async throws -> Response {
        do {
            return try await once(method, path, body, timeLimit)
        } catch GatewayClientError.cut where method == .get {
            // Asking changes nothing, so it may be asked twice: an agent closes connections on
            // which nothing comes for a while, and on a busy machine that may be this one.
            return try await once(method, path, body, timeLimit)
        }
    }

    private func once(
        _ method: Method,
        _ path: String,
        _ body: [UInt8],
        _ timeLimit: Duration
    ) async throws -> Response {
        var response: Response?
        try await exchange(method, path, body, timeLimit: timeLimit) { head, parts in
            let body = try await parts.collect(upTo: Self.responseByteLimit)
            response = Self.response(head, body)
        }
        guard let response else { throw GatewayClientError.cut(endpoint) }
        return response
    }

    private func readEvents(
        _ method: Method,
        _ path: String,
        _ body: [UInt8],
        _ onEvent: (ServerSentEvent) throws -> Void
    ) async throws {
        try await exchange(method, path, body, timeLimit: nil) { head, parts in
            guard head.status == .ok else {
                let body = try await parts.collect(upTo: Self.responseByteLimit)
                throw GatewayClientError.refused(Self.response(head, body))
            }
            var parser = ServerSentEventParser()
            while let bytes = try await parts.next() {
                guard let events = parser.append(bytes.readableBytesView) else {
                    throw ExchangeFailure.tooLong(limit: ServerSentEventParser.byteLimit)
                }
                for event in events { try onEvent(event) }
            }
        }
    }

    private static func address(of endpoint: Endpoint) throws -> SocketAddress {
        let (text, port) = ("\(endpoint.address)", Int(endpoint.port))
        guard endpoint.address == endpoint.address.withoutScope else {
            // Only the resolver takes an address with a scope, and looks nothing up for it.
            return try SocketAddress.makeAddressResolvingHost(text, port: port)
        }
        return try SocketAddress(ipAddress: text, port: port)
    }

    /// One exchange, its failures told in words that say what to do.
    private func exchange(
        _ method: Method,
        _ path: String,
        _ body: [UInt8],
        headers: [String: String] = [:],
        timeLimit: Duration?,
        _ read: (HTTPResponseHead, ResponseParts) async throws -> Void
    ) async throws {
        let exchange: HTTPExchange
        do {
            exchange = try await HTTPExchange(
                connectingTo: try Self.address(of: endpoint),
                timeout: .seconds(5)
            )
        } catch let error as IOError {
            throw GatewayClientError.notListening(endpoint, errno: error.errnoCode)
        } catch is ChannelError {
            throw GatewayClientError.noAnswer(endpoint)
        }
        let body = ByteBuffer(bytes: body)
        var fields = HTTPHeaders(headers.sorted { $0.key < $1.key }.map { ($0.key, $0.value) })
        if let token { fields.add(name: "authorization", value: "Bearer \(token)") }
        let request = HTTPExchange.request(
            HTTPMethod(rawValue: method.rawValue),
            path,
            // The scope of an address is a number of this machine alone.
            host: "\(Endpoint(address: endpoint.address.withoutScope, port: endpoint.port))",
            body: body,
            fields
        )
        let limit = timeLimit.map { TimeAmount.nanoseconds($0.wholeNanoseconds) }
        do {
            try await exchange.run(request, body: body, timeLimit: limit, read)
        } catch ExchangeFailure.cut {
            throw GatewayClientError.cut(endpoint)
        } catch ExchangeFailure.timedOut {
            throw GatewayClientError.timedOut(endpoint, after: timeLimit ?? .zero)
        } catch ExchangeFailure.tooLong(let limit) {
            throw GatewayClientError.tooLong(endpoint, limit: limit)
        }
    }

    private static func response(_ head: HTTPResponseHead, _ body: ByteBuffer) -> Response {
        let headers = head.headers.map { ($0.name.lowercased(), $0.value) }
        return Response(
            status: Int(head.status.code),
            headers: Dictionary(headers) { first, second in "\(first), \(second)" },
            body: Array(body.readableBytesView)
        )
    }
}

/// Why an agent could not be asked, in words for a person.
package enum GatewayClientError: Error, CustomStringConvertible {
    case notListening(Endpoint, errno: Int32)
    /// Nothing came back while connecting.
    case noAnswer(Endpoint)
    /// The connection ended before the answer was complete.
    case cut(Endpoint)
    /// The time was up before the answer was complete.
    case timedOut(Endpoint, after: Duration)
    case tooLong(Endpoint, limit: Int)
    /// A stream was asked for and the gateway answered something else.
    case refused(GatewayClient.Response)
    /// The events of a stream were not read in time.
    case tooSlow

    package var description: String {
        switch self {
        case .notListening(let endpoint, _):
            """
            nothing listens at \(endpoint): is the agent running? start one with `caravan agent`
            """
        case .noAnswer(let endpoint):
            "\(endpoint) does not answer: is the device on, and on this network?"
        case .cut(let endpoint):
            "the agent at \(endpoint) closed the connection in the middle of its answer"
        case .timedOut(let endpoint, let limit):
            "the agent at \(endpoint) did not answer within \(limit.inSeconds) s"
        case .tooLong(let endpoint, let limit):
            "the agent at \(endpoint) sent more than \(limit) bytes"
        case .refused(let response):
            "the agent answered \(response.status): \(response.text.prefix(2000))"
        case .tooSlow:
            "the events were not read fast enough"
        }
    }
}
