internal import CPosix
package import EventLoop
package import Primitives

/// Takes TCP connections from outside, up to a limit.
///
/// An actor on its loop. Connections past the limit are closed at once; when the process has no
/// descriptors left, the listener pauses instead of spinning.
package actor StreamListener {
    /// Says who hears of a new stream; called on the loop.
    package typealias Welcome =
        @Sendable (SocketStream) -> @Sendable (StreamEvent) -> Void

    package nonisolated let local: Endpoint
    private nonisolated let counters = ListenerCounters()
    private nonisolated let loop: PollLoop
    private nonisolated let socket: Socket
    private let streamLimit: Int
    private nonisolated let scopes: LinkScopes
    private var streamCount = 0
    private var welcome: Welcome?
    private var token: WatchToken?
    private var pause: LoopTimer?

    /// Connections that wait to be accepted; the system may keep fewer.
    private static let backlogLimit: Int32 = 128
    /// How many connections are accepted before others get their turn.
    private static let acceptBatchLimit = 32
    private static let pauseLength: Duration = .milliseconds(250)

    /// Binds and listens.
    package init(
        on loop: PollLoop,
        at endpoint: Endpoint,
        streamLimit: Int = StreamLimits.inboundStreamLimit,
        scopes: LinkScopes = LinkScopes()
    ) throws(SocketError) {
        let socket = try Socket.make(.streams, for: endpoint.address)
        try socket.set(CPOSIX_REUSE_ADDRESS)
        try socket.bind(to: endpoint, kind: .streams)
        try socket.listen(Self.backlogLimit, at: endpoint)
        self.socket = socket
        self.loop = loop
        self.streamLimit = streamLimit
        self.scopes = scopes
        local = socket.local ?? endpoint
    }

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.asUnownedSerialExecutor()
    }

    /// Accepts connections from now on and until `close()`.
    package func start(_ welcome: @escaping Welcome) throws(SocketError) {
        precondition(self.welcome == nil, "a listener is started once")
        token = try loop.watch(socket.descriptor, for: .readable, self)
        self.welcome = welcome
    }

    /// Gives the address back; streams that were accepted live on.
    package func close() {
        if let pause { loop.cancel(pause) }
        if let token { loop.unwatch(token) }
        pause = nil
        token = nil
        welcome = nil
        socket.close()
    }

    /// Callable from any thread.
    package nonisolated var counts: ListenerCounts { counters.snapshot }
}

extension StreamListener: PollHandler {
    nonisolated func ready(_ events: PollEvents) {
        assumeIsolated { $0.acceptWaiting() }
    }

    private func acceptWaiting() {
        for _ in 0..<Self.acceptBatchLimit {
            guard let welcome else { return }
            let accepted = cposix_accept(socket.descriptor)
            if accepted.descriptor >= 0 {
                take(Socket(owning: accepted.descriptor), accepted.peer, welcome)
                continue
            }
            switch SocketFailure(errno: -accepted.descriptor) {
            case .wouldBlock:
                return
            case .exhausted, .noBufferSpace:
                pauseAccepting()
                return
            default:
                // The connection broke before it was accepted.
                continue
            }
        }
    }

    private func take(_ socket: Socket, _ system: cposix_endpoint, _ welcome: Welcome) {
        guard streamCount < streamLimit, let peer = Endpoint(system: system) else {
            counters.refused.add()
            socket.close()
            return
        }
        counters.accepted.add()
        streamCount += 1
        socket.prepareForStream()
        let stream = SocketStream(socket, peer: scopes.heard(peer), state: .open, on: loop)
        loop.readClock()
        let onEvent = welcome(stream)
        stream.assumeIsolated { stream in
            stream.begin(onEvent: onEvent) { self.assumeIsolated { $0.streamCount -= 1 } }
        }
    }

    /// Connections wait in the backlog meanwhile.
    private func pauseAccepting() {
        guard let token else { return }
        counters.pauses.add()
        loop.change(token, to: [])
        pause = loop.schedule(after: Self.pauseLength) {
            self.assumeIsolated { $0.resumeAccepting() }
        }
    }

    private func resumeAccepting() {
        pause = nil
        if let token { loop.change(token, to: .readable) }
    }
}

/// What a listener did so far.
package struct ListenerCounts: Equatable, Sendable {
    package var accepted: UInt64 = 0
    /// Closed at once, since there were as many streams as allowed.
    package var refused: UInt64 = 0
    /// How often the process had no descriptors left.
    package var pauses: UInt64 = 0
}

private final class ListenerCounters: Sendable {
    let accepted = Counter()
    let refused = Counter()
    let pauses = Counter()

    var snapshot: ListenerCounts {
        ListenerCounts(
            accepted: accepted.total,
            refused: refused.total,
            pauses: pauses.total
        )
    }
}
