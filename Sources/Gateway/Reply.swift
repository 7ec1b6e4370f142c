import FoundationEssentials
import HTTPTypes
import NIOCore
import NIOHTTPTypes

/// The answer to one request, and how far it got.
///
/// So that a failure at any point knows whether it can still be told.
final class Reply {
    private enum Stage {
        case unsent, streaming, finished
    }

    private let outbound: NIOAsyncChannelOutboundWriter<HTTPResponsePart>
    private let isHead: Bool
    private var stage = Stage.unsent

    /// Takes whether the request's method was HEAD, so that no body may follow.
    init(_ outbound: NIOAsyncChannelOutboundWriter<HTTPResponsePart>, isHead: Bool) {
        self.outbound = outbound
        self.isHead = isHead
    }

    /// Whether nothing was sent yet, so that an error can still be the answer.
    var isUnsent: Bool { stage == .unsent }

    /// Tells a client that waits for it that its body is welcome (`Expect: 100-continue`).
    func welcomeBody() async throws {
        try await outbound.write(.head(HTTPResponse(status: .continue)))
    }

    /// Sends a whole answer.
    func send(
        _ status: HTTPResponse.Status,
        _ fields: HTTPFields,
        _ body: ByteBuffer
    ) async throws {
        precondition(stage == .unsent, "an answer was sent already")
        stage = .finished
        var head = HTTPResponse(status: status, headerFields: fields)
        head.headerFields[.contentLength] = "\(body.readableBytes)"
        let parts: [HTTPResponsePart] = [.head(head)] + (isHead ? [] : [.body(body)]) + [.end(nil)]
        try await outbound.write(contentsOf: parts)
    }

    /// Sends a head, after which `write` and `end` give the body.
    func begin(_ status: HTTPResponse.Status, _ fields: HTTPFields) async throws {
        precondition(stage == .unsent, "an answer was sent already")
        stage = .streaming
        try await outbound.write(.head(HTTPResponse(status: status, headerFields: fields)))
    }

    /// Sends a piece of body; waits while the client does not read.
    func write(_ bytes: ByteBuffer) async throws {
        precondition(stage == .streaming, "no body is under way")
        if !isHead { try await outbound.write(.body(bytes)) }
    }

    /// Completes a body.
    func end() async throws {
        precondition(stage == .streaming, "no body is under way")
        stage = .finished
        try await outbound.write(.end(nil))
    }
}

extension Reply {
    /// Sends a value as JSON, its keys sorted so that the same value is always the same bytes.
    func send(
        json value: some Encodable,
        status: HTTPResponse.Status = .ok,
        _ fields: HTTPFields = [:]
    ) async throws {
        var fields = fields
        fields[.contentType] = "application/json"
        fields[.cacheControl] = "no-store"
        try await send(status, fields, try JSON.encode(value))
    }

    func send(_ error: APIError, _ fields: HTTPFields = [:]) async throws {
        try await send(json: error, status: error.status, error.fields + fields)
    }
}

extension HTTPFields {
    /// No other request may follow on the connection.
    static var close: HTTPFields { [.connection: "close"] }

    /// The head of a stream of server-sent events that nothing on the way may hold back.
    static var eventStream: HTTPFields {
        var fields: HTTPFields = [
            .contentType: "text/event-stream",
            .cacheControl: "no-cache, no-store",
        ]
        if let buffering = HTTPField.Name("X-Accel-Buffering") { fields[buffering] = "no" }
        return fields
    }
}

/// JSON as the gateway reads and writes it.
enum JSON {
    /// One line, keys sorted, slashes as they are.
    static func encode(_ value: some Encodable) throws -> ByteBuffer {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // A progress of 0/0 must not cost a client its whole answer.
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "Infinity",
            negativeInfinity: "-Infinity",
            nan: "NaN"
        )
        return ByteBuffer(bytes: try encoder.encode(value))
    }

    static func decode<Value: Decodable>(
        _ type: Value.Type,
        from bytes: ByteBuffer
    ) throws -> Value {
        try JSONDecoder().decode(type, from: Data(bytes.readableBytesView))
    }

    /// Any JSON object; its content is somebody else's business.
    struct Object: Decodable {
        private enum NoKeys: CodingKey {}

        init(from decoder: any Decoder) throws {
            _ = try decoder.container(keyedBy: NoKeys.self)
        }
    }
}
