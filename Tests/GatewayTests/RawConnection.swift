import Foundation
import Gateway
import NIOCore
import NIOPosix
import Synchronization

/// A TCP connection of a test, as text, on either side.
final class RawConnection: Sendable {
    private struct State {
        var bytes: [UInt8] = []
        var isClosed = false
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    let channel: any Channel
    private let state = Mutex(State())

    init(channel: any Channel) throws {
        self.channel = channel
        try channel.pipeline.syncOperations.addHandler(Collector(self))
    }

    static func connect(port: UInt16, receiveBuffer: Int? = nil) async throws -> RawConnection {
        var bootstrap = ClientBootstrap(group: GatewayLoop.group)
        if let receiveBuffer {
            bootstrap = bootstrap.channelOption(.socketOption(.so_rcvbuf), value: receiveBuffer)
        }
        return try await bootstrap.connect(host: "127.0.0.1", port: Int(port)) { channel in
            channel.eventLoop.makeCompletedFuture { try RawConnection(channel: channel) }
        }
    }

    func send(_ text: String) async throws {
        try await channel.writeAndFlush(ByteBuffer(string: text)).get()
    }

    func close() {
        channel.close(promise: nil)
    }

    /// Closes with a reset instead of an orderly end.
    func reset() async throws {
        let provider = channel as? any SocketOptionProvider
        try await provider?.setSoLinger(linger(l_onoff: 1, l_linger: 0)).get()
        channel.close(promise: nil)
    }

    /// Stops or resumes reading.
    func setReading(_ isReading: Bool) async throws {
        try await channel.setOption(.autoRead, value: isReading).get()
        if isReading { channel.read() }
    }

    /// Everything received so far.
    var text: String { state.withLock { String(decoding: $0.bytes, as: UTF8.self) } }

    /// Waits until the text contains a part, and returns all of it; what came before it ended if
    /// it never does.
    @discardableResult
    func read(until part: String) async -> String {
        let wanted = Data(part.utf8)
        let searched = Mutex(0)
        await wait { state in
            // What was found is found again: who waits looks once more when there is news.
            searched.withLock { start in
                guard Data(state.bytes[start...]).range(of: wanted) == nil else { return true }
                start = max(start, state.bytes.count - wanted.count + 1)
                return state.isClosed
            }
        }
        return text
    }

    /// Waits until the other side closed, and returns everything it sent.
    @discardableResult
    func readToEnd() async -> String {
        await wait { $0.isClosed }
        return text
    }

    private func wait(_ isDone: @Sendable (State) -> Bool) async {
        while !state.withLock({ isDone($0) }) {
            await withCheckedContinuation { continuation in
                let isDoneNow = state.withLock { state in
                    if isDone(state) { return true }
                    state.waiters.append(continuation)
                    return false
                }
                if isDoneNow { continuation.resume() }
            }
        }
    }

    private func update(_ change: @Sendable (inout State) -> Void) {
        let waiters = state.withLock { state in
            change(&state)
            let waiters = state.waiters
            state.waiters = []
            return waiters
        }
        for waiter in waiters { waiter.resume() }
    }

    private final class Collector: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer
        private let connection: RawConnection

        init(_ connection: RawConnection) {
            self.connection = connection
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            let bytes = unwrapInboundIn(data)
            connection.update { $0.bytes += bytes.readableBytesView }
        }

        func channelInactive(context: ChannelHandlerContext) {
            connection.update { $0.isClosed = true }
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) {
            context.close(promise: nil)
        }
    }
}

/// A server whose every connection is played by the test.
final class ScriptedServer: Sendable {
    let port: UInt16
    private let listener: any Channel
    private let accepted: AsyncStream<RawConnection>

    init() async throws {
        let (stream, continuation) = AsyncStream.makeStream(of: RawConnection.self)
        listener = try await ServerBootstrap(group: GatewayLoop.group)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    continuation.yield(try RawConnection(channel: channel))
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        port = UInt16(listener.localAddress?.port ?? 0)
        accepted = stream
    }

    /// The next connection.
    func next() async throws -> RawConnection {
        for await connection in accepted { return connection }
        throw ServerGone()
    }

    /// The next connection, after its whole request of JSON without nested objects.
    func nextCall() async throws -> RawConnection {
        let call = try await next()
        await call.read(until: "}")
        return call
    }

    func close() {
        listener.close(promise: nil)
    }

    struct ServerGone: Error {}
}

/// Connects and gives the bare socket away, as the agent's own sockets do.
func connectedSocket(port: UInt16) async throws -> Int32 {
    let channel = try await ClientBootstrap(group: GatewayLoop.group)
        .channelOption(.autoRead, value: false)
        .connect(host: "127.0.0.1", port: Int(port)).get()
    let socket = try await channel.eventLoop.submit {
        try channel.pipeline.syncOperations.withUnsafeTransportIfAvailable(
            of: NIOBSDSocket.Handle.self
        ) { dup($0) }
    }.get()
    try await channel.close().get()
    return socket ?? -1
}
