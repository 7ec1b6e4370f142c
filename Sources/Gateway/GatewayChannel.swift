import HTTPTypes
import HummingbirdCore
import Logging
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import NIOHTTPTypesHTTP1

/// Sets up each accepted connection and answers its requests, one after the other.
///
/// Hummingbird accepts, limits and stops connections. The loop over requests is ours: a refused
/// body must not be drained without end, and HTTP that is none gets an answer that says so.
struct GatewayChannel: ServerChildChannel {
    struct Value: ServerChildChannelValue {
        let stream: NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>
        let connection: ClientConnection

        var channel: any Channel { connection.channel }
    }

    let responder: GatewayResponder

    func setup(channel: any Channel, logger: Logger) -> EventLoopFuture<Value> {
        channel.eventLoop.makeCompletedFuture {
            GatewayLoop.closeOnExec(channel)
            let (backend, limits) = (responder.backend, responder.limits)
            let connection = ClientConnection(channel: channel)
            var decoderLimits = NIOHTTPDecoderLimitConfiguration()
            decoderLimits.maxHeaderFieldSize = limits.headerByteLimit
            decoderLimits.maxHeaderListSize = limits.headerByteLimit
            decoderLimits.maxHeaderFieldCount = limits.headerCountLimit
            let pipeline = channel.pipeline.syncOperations
            try pipeline.configureHTTPServerPipeline(
                withPipeliningAssistance: false,
                withErrorHandling: false,
                withOutboundHeaderValidation: true,
                withEncoderConfiguration: .init(),
                withDecoderLimitConfiguration: decoderLimits
            )
            try pipeline.addHandler(TargetHostHandler())
            try pipeline.addHandler(HTTP1ToHTTPServerCodec(secure: false))
            try pipeline.addHandler(
                ClientConnectionHandler(connection: connection, limits: limits) {
                    backend.refused($0, detail: $1)
                }
            )
            try pipeline.addHandler(
                HTTPConnectionStateHandler(
                    idleTimeout: .nanoseconds(limits.headTimeLimit.nanoseconds),
                    logger: logger
                )
            )
            let stream = try NIOAsyncChannel<HTTPRequestPart, HTTPResponsePart>(
                wrappingChannelSynchronously: channel,
                configuration: .init(isOutboundHalfClosureEnabled: true)
            )
            return Value(stream: stream, connection: connection)
        }
    }

    /// Answers the connection's requests in a task that the connection cancels when its client
    /// goes.
    func handle(value: Value, logger: Logger) async {
        let work = Task { try await answer(value) }
        value.connection.onCancel { work.cancel() }
        await withTaskCancellationHandler {
            // What is thrown has ended the connection, and there is nobody left to tell.
            _ = await work.result
        } onCancel: {
            work.cancel()
        }
    }

    private func answer(_ value: Value) async throws {
        try await value.stream.executeThenClose { inbound, outbound in
            let parts = RequestParts(inbound.makeAsyncIterator())
            do {
                while let head = try await parts.nextHead() {
                    let reply = Reply(outbound, isHead: head.method == .head)
                    let request = GatewayRequest(head: head, body: parts)
                    try await responder.respond(to: request, reply, value.connection)
                    if head.headerFields[.connection]?.lowercased() == "close" { break }
                }
            } catch let error as HTTPParserError {
                try await Reply(outbound, isHead: false).send(.malformed(error), .close)
            }
            // A closed output with an open input lets the client read before it is cut off.
            outbound.finish()
            value.connection.perform(.closeSoon)
            try await value.channel.closeFuture.get()
        }
    }
}

/// A request's head, and its body as it arrives.
struct GatewayRequest {
    let head: HTTPRequest
    let body: RequestParts
}

/// What a client sends on one connection, at the reader's pace.
final class RequestParts {
    private var iterator: NIOAsyncChannelInboundStream<HTTPRequestPart>.AsyncIterator
    private var isInBody = false

    init(_ iterator: NIOAsyncChannelInboundStream<HTTPRequestPart>.AsyncIterator) {
        self.iterator = iterator
    }

    /// The head of the next request, what is left of the last one skipped; nil at the end.
    ///
    /// Skipping is bounded: a connection whose answer came before its request was complete is
    /// closed (`GatewayLimits.lingerTimeLimit`).
    func nextHead() async throws -> HTTPRequest? {
        while let part = try await iterator.next(isolation: #isolation) {
            guard case .head(let head) = part else { continue }
            isInBody = true
            return head
        }
        return nil
    }

    /// The next piece of the request's body; nil when it is complete.
    ///
    /// - Throws: `ClientWentAway` if it ends too early.
    func nextBytes() async throws -> ByteBuffer? {
        guard isInBody else { return nil }
        switch try await iterator.next(isolation: #isolation) {
        case .body(let bytes):
            return bytes
        case .end:
            isInBody = false
            return nil
        case .head, nil:
            throw ClientWentAway()
        }
    }
}

/// The client closed before its request was complete.
struct ClientWentAway: Error {}
