import HTTPTypes
import NIOCore
import NIOHTTP1
import NIOHTTPTypes
import Primitives

/// A client took longer than allowed to send a request's body.
struct BodyTooSlow: Error {}

/// Watches one client's connection between the HTTP decoder and the task that answers.
///
/// Sees what the task cannot while it is busy: that the client has gone, that a body drips, that
/// the agent stops.
final class ClientConnectionHandler: ChannelDuplexHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPRequestPart
    typealias InboundOut = HTTPRequestPart
    typealias OutboundIn = HTTPResponsePart
    typealias OutboundOut = HTTPResponsePart

    private let connection: ClientConnection
    private let limits: GatewayLimits
    private let onRefused: @Sendable (_ reason: String, _ detail: String) -> Void
    /// The head of a request was read, and its end was not yet.
    private var isReadingRequest = false
    /// Something of this connection was refused; how it ends then is no further event.
    private var isRefused = false
    private var bodyDeadline: Scheduled<Void>?
    private var heartbeat: Scheduled<Void>?

    init(
        connection: ClientConnection,
        limits: GatewayLimits,
        onRefused: @escaping @Sendable (_ reason: String, _ detail: String) -> Void
    ) {
        self.connection = connection
        self.limits = limits
        self.onRefused = onRefused
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head:
            isReadingRequest = true
            bodyDeadline = context.eventLoop.assumeIsolated().scheduleTask(
                in: limits.bodyTimeLimit
            ) {
                self.refuse("http.slowBody", self.connection.peer)
                context.fireErrorCaught(BodyTooSlow())
            }
        case .body:
            break
        case .end:
            isReadingRequest = false
            bodyDeadline?.cancel()
        }
        context.fireChannelRead(data)
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        switch unwrapOutboundIn(data) {
        case .head(var head) where isReadingRequest && head.status.kind != .informational:
            // The rest of the body will not be waited for, so no other request can follow.
            head.headerFields[.connection] = "close"
            context.write(wrapOutboundOut(.head(head)), promise: promise)
        case .head, .body:
            context.write(data, promise: promise)
        case .end:
            stopHeartbeat()
            context.write(data, promise: promise)
            if isReadingRequest { closeAfterAnswer(context) }
        }
    }

    func triggerUserOutboundEvent(
        context: ChannelHandlerContext,
        event: Any,
        promise: EventLoopPromise<Void>?
    ) {
        guard let command = event as? ConnectionCommand else {
            context.triggerUserOutboundEvent(event, promise: promise)
            return
        }
        switch command {
        case .heartbeat(let bytes, let interval):
            scheduleHeartbeat(context, bytes, every: interval)
        case .finish(let bytes):
            stopHeartbeat()
            context.write(wrapOutboundOut(.body(bytes)), promise: nil)
            context.writeAndFlush(wrapOutboundOut(.end(nil))).assumeIsolated().whenComplete { _ in
                context.close(promise: nil)
            }
        case .closeSoon:
            closeLater(context, after: limits.lingerTimeLimit)
        }
        promise?.succeed()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        switch event {
        case is ChannelShouldQuiesceEvent:
            connection.end(.shutdown)
            closeLater(context, after: limits.shutdownTimeLimit)
        case ChannelEvent.inputClosed:
            connection.end(.clientGone)
        default:
            break
        }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        stopTimers()
        connection.end(.clientGone)
        context.fireChannelInactive()
    }

    func handlerRemoved(context: ChannelHandlerContext) {
        stopTimers()
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        switch error {
        case HTTPParserError.invalidEOFState:
            refuse("http.truncated", connection.peer)
            connection.end(.clientGone)
            context.fireErrorCaught(error)
        case is HTTPParserError:
            refuse("http.malformed", "\(connection.peer): \(error)")
            context.fireErrorCaught(error)
        case is IOError, is ChannelError:
            connection.end(.clientGone)
            context.fireErrorCaught(error)
        default:
            // A head that the parser took and that is no valid request all the same. As a parser
            // error it is answered with 400; others close without a word.
            refuse("http.malformed", "\(connection.peer): \(error)")
            context.fireErrorCaught(HTTPParserError.unknown)
        }
    }

    private func refuse(_ reason: String, _ detail: String) {
        guard !isRefused else { return }
        isRefused = true
        onRefused(reason, detail)
    }

    /// Lets a client that is still sending read the answer: closing at once would reset it.
    private func closeAfterAnswer(_ context: ChannelHandlerContext) {
        context.flush()
        closeLater(context, after: limits.lingerTimeLimit)
    }

    private func closeLater(_ context: ChannelHandlerContext, after delay: TimeAmount) {
        context.eventLoop.assumeIsolated().scheduleTask(in: delay) {
            context.close(promise: nil)
        }
    }

    private func scheduleHeartbeat(
        _ context: ChannelHandlerContext,
        _ bytes: ByteBuffer,
        every interval: TimeAmount
    ) {
        heartbeat = context.eventLoop.assumeIsolated().scheduleTask(in: interval) {
            if context.channel.isWritable {
                context.writeAndFlush(self.wrapOutboundOut(.body(bytes)), promise: nil)
            }
            self.scheduleHeartbeat(context, bytes, every: interval)
        }
    }

    private func stopHeartbeat() {
        heartbeat?.cancel()
        heartbeat = nil
    }

    private func stopTimers() {
        stopHeartbeat()
        bodyDeadline?.cancel()
    }
}

extension ClientConnection {
    /// The client's address, for logs.
    var peer: String {
        guard let address = channel.remoteAddress, let text = address.ipAddress,
            let ip = IPAddress(text)
        else { return "an unknown address" }
        return "\(Endpoint(address: ip.unmapped, port: UInt16(address.port ?? 0)))"
    }
}
