import HTTPTypes
import NIOCore
import NIOHTTP1

/// Completions, proxied to the master's llama-server.
extension GatewayResponder {
    /// Passes a completion request to llama-server and its answer back as it comes, at the pace of
    /// the slower side.
    func proxyCompletion(
        _ path: String,
        _ body: ByteBuffer,
        _ reply: Reply,
        _ connection: ClientConnection
    ) async throws {
        do {
            _ = try JSON.decode(JSON.Object.self, from: body)
        } catch {
            throw APIError(.badRequest, "invalid_json", "The request's body is no JSON object.")
        }
        connection.beginLongAnswer()
        let request = HTTPExchange.request(.POST, path, host: "llama-server", body: body)
        do {
            let exchange = try await HTTPExchange(adopting: backend.connect(to: .llamaServer))
            try await exchange.run(request, body: body) { head, parts in
                if head.headers["content-type"].first?.hasPrefix("text/event-stream") == true {
                    try await relayEvents(head, parts, reply, connection)
                } else {
                    try await relayWhole(head, parts, reply)
                }
            }
        } catch is ExchangeFailure where reply.isUnsent {
            throw APIError.masterLost("The model's server")
        }
    }

    /// Relays an event stream; one that is cut short ends with an error event.
    ///
    /// llama-server that dies leaves a plain end of stream, which a client could take for the end
    /// of the answer.
    private func relayEvents(
        _ head: HTTPResponseHead,
        _ parts: ResponseParts,
        _ reply: Reply,
        _ connection: ClientConnection
    ) async throws {
        try await reply.begin(HTTPResponse.Status(code: Int(head.status.code)), .eventStream)
        let hasFraming =
            head.headers.contains(name: "transfer-encoding")
            || head.headers.contains(name: "content-length")
        var framer = EventStreamFramer()
        do {
            while let bytes = try await parts.next() {
                if let whole = framer.append(bytes) { try await reply.write(whole) }
            }
            if !hasFraming && !framer.isDone { throw ExchangeFailure.cut }
        } catch is ExchangeFailure {
            if !framer.isDone {
                try await reply.write(errorEvent(.masterLost("The model's server")))
            }
        } catch is CancellationError where connection.ending == .shutdown {
            connection.perform(.finish(errorEvent(.stopping)))
            return
        }
        try await reply.end()
    }

    private func errorEvent(_ error: APIError) -> ByteBuffer {
        guard let json = try? JSON.encode(error) else { return ByteBuffer() }
        return ByteBuffer(string: "data: \(String(buffer: json))\n\n")
    }

    /// Relays a plain response: held back while it is small, so that one that is cut short still
    /// becomes a proper error; streamed once it is large.
    private func relayWhole(
        _ head: HTTPResponseHead,
        _ parts: ResponseParts,
        _ reply: Reply
    ) async throws {
        let status = HTTPResponse.Status(code: Int(head.status.code))
        var fields = HTTPFields()
        fields[.contentType] = head.headers["content-type"].first ?? "application/json"
        var held = ByteBuffer()
        while let bytes = try await parts.next() {
            held.writeImmutableBuffer(bytes)
            guard held.readableBytes > limits.heldResponseByteLimit else { continue }
            fields[.contentLength] = head.headers["content-length"].first
            try await reply.begin(status, fields)
            try await reply.write(held)
            while let bytes = try await parts.next() { try await reply.write(bytes) }
            return try await reply.end()
        }
        try await reply.send(status, fields, held)
    }
}
