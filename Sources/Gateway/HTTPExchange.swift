import NIOCore
import NIOHTTP1
import NIOPosix
import Synchronization

/// One HTTP/1.1 request and its response, on a connection of their own.
///
/// The connection is closed when the exchange ends, however it ends; to llama-server that is the
/// sign to free the slot.
struct HTTPExchange {
    typealias Connection = NIOAsyncChannel<HTTPClientResponsePart, HTTPClientRequestPart>

    let connection: Connection

    /// Takes over a connected socket; it is closed even if that fails, with `ExchangeFailure`.
    ///
    /// NIO closes it then. Closed here once more, it would by then be somebody else's.
    init(adopting socket: NIOBSDSocket.Handle) async throws {
        do {
            connection = try await ClientBootstrap(group: GatewayLoop.group)
                .withConnectedSocket(socket, channelInitializer: Self.setUp)
        } catch {
            throw ExchangeFailure.cut
        }
    }

    /// Connects to an address.
    init(connectingTo address: SocketAddress, timeout: TimeAmount) async throws {
        connection = try await ClientBootstrap(group: GatewayLoop.group)
            .connectTimeout(timeout)
            .connect(to: address, channelInitializer: Self.setUp)
    }

    private static func setUp(_ channel: any Channel) -> EventLoopFuture<Connection> {
        channel.eventLoop.makeCompletedFuture {
            GatewayLoop.closeOnExec(channel)
            try channel.pipeline.syncOperations.addHTTPClientHandlers()
            return try Connection(wrappingChannelSynchronously: channel)
        }
    }

    /// Sends the request and hands the response, as it arrives, to the closure.
    ///
    /// - Throws: `ExchangeFailure` when the other side fails, besides what the closure throws.
    func run(
        _ request: HTTPRequestHead,
        body: ByteBuffer,
        timeLimit: TimeAmount? = nil,
        _ read: (HTTPResponseHead, ResponseParts) async throws -> Void
    ) async throws {
        let channel = connection.channel
        let deadline = Deadline()
        let timer = timeLimit.map { limit in
            channel.eventLoop.scheduleTask(in: limit) {
                deadline.pass()
                channel.close(promise: nil)
            }
        }
        defer { timer?.cancel() }
        do {
            try await exchange(request, body, read)
        } catch ExchangeFailure.cut where deadline.hasPassed {
            throw ExchangeFailure.timedOut
        }
    }

    private func exchange(
        _ request: HTTPRequestHead,
        _ body: ByteBuffer,
        _ read: (HTTPResponseHead, ResponseParts) async throws -> Void
    ) async throws {
        var whole: [HTTPClientRequestPart] = [.head(request)]
        if body.readableBytes > 0 { whole.append(.body(.byteBuffer(body))) }
        whole.append(.end(nil))
        try await connection.executeThenClose { inbound, outbound in
            do {
                // In one piece: a head alone is a whole GET, which may be answered, and the
                // connection closed, before its end is written.
                try await outbound.write(contentsOf: whole)
            } catch let error as CancellationError {
                throw error
            } catch {
                // Who refuses a request need not read it: the answer may be here nonetheless.
            }
            let parts = ResponseParts(inbound.makeAsyncIterator())
            try await read(try await parts.head(), parts)
        }
    }

    /// The head of a request for one exchange, with a body of so many bytes.
    static func request(
        _ method: HTTPMethod,
        _ path: String,
        host: String,
        body: ByteBuffer,
        _ extra: HTTPHeaders = [:]
    ) -> HTTPRequestHead {
        var headers = extra
        headers.add(name: "host", value: host)
        headers.add(name: "connection", value: "close")
        if method != .GET {
            headers.add(name: "content-type", value: "application/json")
            headers.add(name: "content-length", value: "\(body.readableBytes)")
        }
        return HTTPRequestHead(version: .http1_1, method: method, uri: path, headers: headers)
    }
}

/// How the other side of an exchange fails.
enum ExchangeFailure: Error {
    /// The connection ended before the response was complete.
    case cut
    /// The time was up before the response was complete.
    case timedOut
    /// The response is longer than the caller takes.
    case tooLong(limit: Int)
}

private final class Deadline: Sendable {
    private let isOver = Atomic(false)

    func pass() { isOver.store(true, ordering: .relaxed) }
    var hasPassed: Bool { isOver.load(ordering: .relaxed) }
}

/// A response, piece by piece, at the reader's pace.
final class ResponseParts {
    private var iterator: NIOAsyncChannelInboundStream<HTTPClientResponsePart>.AsyncIterator
    private var isComplete = false

    init(_ iterator: NIOAsyncChannelInboundStream<HTTPClientResponsePart>.AsyncIterator) {
        self.iterator = iterator
    }

    func head() async throws -> HTTPResponseHead {
        guard case .head(let head) = try await part() else { throw ExchangeFailure.cut }
        return head
    }

    /// The next piece of body; nil when the response is complete.
    func next() async throws -> ByteBuffer? {
        if isComplete { return nil }
        switch try await part() {
        case .body(let bytes):
            return bytes
        case .end:
            isComplete = true
            return nil
        case .head, nil:
            throw ExchangeFailure.cut
        }
    }

    /// The whole body, or `.tooLong`.
    func collect(upTo byteLimit: Int) async throws -> ByteBuffer {
        var whole = ByteBuffer()
        while var bytes = try await next() {
            whole.writeBuffer(&bytes)
            if whole.readableBytes > byteLimit { throw ExchangeFailure.tooLong(limit: byteLimit) }
        }
        return whole
    }

    /// Whatever the network or the parser says, to the reader the response was cut short.
    private func part() async throws -> HTTPClientResponsePart? {
        let part: HTTPClientResponsePart?
        do {
            part = try await iterator.next(isolation: #isolation)
        } catch is CancellationError {
            throw CancellationError()
        } catch {
            throw ExchangeFailure.cut
        }
        if part == nil { try Task.checkCancellation() }
        return part
    }
}
