internal import EventLoop
package import Primitives
internal import Synchronization

/// Pushes bytes into one end of a way on this machine and measures when they have come out of the
/// other; for benches.
///
/// Both ends have threads of their own, as two programs would.
package final class TrafficMeter: Sendable {
    /// Where the way must lead.
    package let exit: Endpoint
    private let sourceLoop: PollLoop
    private let sinkLoop: PollLoop
    private let listener: StreamListener
    private let waiting = Mutex<(@Sendable (TrafficSink) -> Void)?>(nil)

    package init() throws(SocketError) {
        sourceLoop = try PollLoop(name: "bench-source")
        sinkLoop = try PollLoop(name: "bench-sink")
        listener = try StreamListener(
            on: sinkLoop,
            at: Endpoint(address: .loopback, port: 0)
        )
        exit = listener.local
        sinkLoop.execute { [self] in
            try? listener.assumeIsolated { listener in
                try listener.start { [self] stream in
                    sinkLoop.execute { [self] in arrived(stream) }
                    return { _ in }
                }
            }
        }
    }

    /// Pushes bytes, and returns how long all of them took; throws if they do not arrive.
    package func push(_ byteCount: Int, into entrance: Endpoint) async throws -> Duration {
        let began = ContinuousClock.now
        let arrivedCount = await withCheckedContinuation {
            (continuation: CheckedContinuation<Int, Never>) in
            waiting.withLock { $0 = { $0.onEnd = { continuation.resume(returning: $0) } } }
            sourceLoop.execute { [self] in send(byteCount, to: entrance) }
        }
        let duration = ContinuousClock.now - began
        guard arrivedCount == byteCount else {
            throw TrafficLost(sent: byteCount, arrived: arrivedCount)
        }
        return duration
    }

    package func stop() {
        for loop in [sourceLoop, sinkLoop] {
            loop.stop()
            loop.waitUntilStopped()
        }
    }

    private func arrived(_ stream: SocketStream) {
        guard let detached = stream.detach() else { return }
        let sink = TrafficSink(Socket(owning: detached.descriptor), sinkLoop)
        let prepare = waiting.withLock { waiting in
            defer { waiting = nil }
            return waiting
        }
        prepare?(sink)
        sink.start()
    }

    private func send(_ byteCount: Int, to entrance: Endpoint) {
        do throws(SocketError) {
            let socket = try Socket.make(.streams, for: entrance.address)
            if let errno = socket.startConnecting(to: entrance, from: nil) {
                throw .failed(call: "connect", errno: errno)
            }
            let source = TrafficSource(socket, byteCount, sourceLoop)
            source.start()
        } catch {
            let prepare = waiting.withLock { waiting in
                defer { waiting = nil }
                return waiting
            }
            let nothing = TrafficSink(Socket(owning: -1), sinkLoop)
            prepare?(nothing)
            nothing.onEnd?(0)
        }
    }
}

/// Why a push did not succeed.
package struct TrafficLost: Error, CustomStringConvertible {
    package let sent: Int
    package let arrived: Int

    package var description: String { "of \(sent) bytes \(arrived) arrived" }
}

/// Says so many bytes and ends; used on its loop only.
private final class TrafficSource: PollHandler, @unchecked Sendable {
    private let socket: Socket
    private let loop: PollLoop
    private var left: Int
    private var token: WatchToken?
    private let bytes = (0..<(1 << 17)).map { UInt8(truncatingIfNeeded: $0 &* 31) }

    init(_ socket: Socket, _ byteCount: Int, _ loop: PollLoop) {
        self.socket = socket
        self.loop = loop
        left = byteCount
    }

    func start() {
        token = try? loop.watch(socket.descriptor, for: .writable, self)
    }

    func ready(_ events: PollEvents) {
        for _ in 0..<8 where left > 0 {
            switch socket.send(bytes, 0..<min(left, bytes.count)) {
            case .moved(let count): left -= count
            case .wouldBlock: return
            case .failed: return finish()
            }
        }
        if left == 0 { finish() }
    }

    private func finish() {
        if let token { loop.unwatch(token) }
        token = nil
        socket.close()
    }
}

/// Counts bytes until their end; used on its loop only.
private final class TrafficSink: PollHandler, @unchecked Sendable {
    private let socket: Socket
    private let loop: PollLoop
    private var count = 0
    private var token: WatchToken?
    private var buffer = [UInt8](repeating: 0, count: 1 << 17)
    var onEnd: (@Sendable (Int) -> Void)?

    init(_ socket: Socket, _ loop: PollLoop) {
        self.socket = socket
        self.loop = loop
    }

    func start() {
        token = try? loop.watch(socket.descriptor, for: .readable, self)
    }

    func ready(_ events: PollEvents) {
        for _ in 0..<8 {
            switch socket.receive(into: &buffer) {
            case .moved(let count) where count > 0: self.count += count
            case .wouldBlock: return
            case .moved, .failed:
                if let token { loop.unwatch(token) }
                token = nil
                socket.close()
                onEnd?(count)
                onEnd = nil
                return
            }
        }
    }
}
