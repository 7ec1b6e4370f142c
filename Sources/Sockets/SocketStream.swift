internal import CPosix
internal import EventLoop
package import Primitives

/// A TCP stream on a loop.
///
/// Events come from the loop's own callbacks, never from inside a call of `send` or `close`, so
/// that an actor may call these while it handles something else. `.closed` comes once and last.
package actor SocketStream: StreamConnection {
    enum State {
        case connecting
        case open
        /// We closed: what is queued is still sent. `peerEnded`: there is nothing more to read.
        case flushing(peerEnded: Bool)
        /// Everything is sent and our side is shut; what still arrives is thrown away, since
        /// closing a socket with unread bytes would destroy the last ones we sent.
        case draining
        /// Something ended the stream; its event is under way.
        case ending
        case closed
    }

    package nonisolated let peer: Endpoint
    nonisolated let loop: PollLoop
    let socket: Socket
    var state: State
    var outbound = OutboundQueue()
    /// `close()` was called before the connection stood.
    var closesWhenOpen = false
    var onEvent: (@Sendable (StreamEvent) -> Void)?
    var onGone: (@Sendable () -> Void)?
    var token: WatchToken?
    var interest: PollInterest = []
    /// Ends the wait for the connection, later that for the peer's end.
    var timer: LoopTimer?

    init(_ socket: Socket, peer: Endpoint, state: State, on loop: PollLoop) {
        self.socket = socket
        self.peer = peer
        self.state = state
        self.loop = loop
    }

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.asUnownedSerialExecutor()
    }

    package nonisolated func send(_ bytes: [UInt8]) {
        assumeIsolated { $0.enqueue(bytes) }
    }

    package nonisolated func close() {
        assumeIsolated { $0.beginClosing() }
    }

    package nonisolated func expectSilence() {
        socket.wish(CPOSIX_KEEPALIVE, StreamTiming.silentKeepaliveSeconds)
    }

    /// Takes the open connection out of the loop's hands, for a relay or another library.
    ///
    /// `.closed(.closedHere)` follows. Nil if the stream is not open any more or not yet; then
    /// its own events tell why.
    package nonisolated func detach() -> DetachedStream? {
        assumeIsolated { $0.handOver() }
    }
}

/// A connection that was taken off its loop, to be owned by whoever holds this.
package struct DetachedStream: Sendable {
    /// A connected, non-blocking socket that is closed on exec.
    package let descriptor: Int32
    package let peer: Endpoint
    /// Bytes that were passed to `send` and must go out first.
    package let unsent: [UInt8]

    package init(descriptor: Int32, peer: Endpoint, unsent: [UInt8] = []) {
        self.descriptor = descriptor
        self.peer = peer
        self.unsent = unsent
    }

    /// Two ends of a stream within this process.
    package static func pair() throws(SocketError) -> (DetachedStream, DetachedStream) {
        let pair = cposix_stream_pair()
        _ = try systemCall("socketpair", pair.first)
        let nowhere = Endpoint(address: .loopback, port: 0)
        return (
            DetachedStream(descriptor: pair.first, peer: nowhere),
            DetachedStream(descriptor: pair.second, peer: nowhere)
        )
    }
}

enum StreamTiming {
    /// How long a closed stream may take to send what is queued and to hear the peer's end.
    static let lingerLimit: Duration = .seconds(5)
    /// After how long a silent stream is asked whether it still stands: what watches over devices
    /// must not keep their radios awake.
    static let silentKeepaliveSeconds: Int32 = 900
    /// How many bytes are read at once before others get their turn.
    static let readByteLimit = 1 << 16
    /// How many reads may follow when the connection is known to be broken.
    static let lastReadLimit = 16
}

// MARK: What the stream's own side does

extension SocketStream {
    func enqueue(_ bytes: [UInt8]) {
        switch state {
        case .connecting where !closesWhenOpen:
            outbound.append(bytes)
        case .open:
            // What is sent in one turn, and the end if it follows, goes in one packet.
            if outbound.isEmpty, !bytes.isEmpty { later { $0.writeGathered() } }
            outbound.append(bytes)
            guard outbound.byteCount > Self.gatherByteLimit else { return }
            writeWhenOpen()
            guard case .open = state else { return }
        case .connecting, .flushing, .draining, .ending, .closed:
            return
        }
        if outbound.byteCount > StreamLimits.outboundByteLimit {
            endLater(reading: false, .overflow(byteCount: outbound.byteCount))
        }
    }

    /// How many bytes of one turn are gathered at most.
    private static let gatherByteLimit = 1 << 16

    private func writeGathered() {
        guard case .open = state, !outbound.isEmpty else { return }
        writeWhenOpen()
    }

    func beginClosing() {
        switch state {
        case .connecting:
            closesWhenOpen = true
        case .open:
            state = .flushing(peerEnded: false)
            setTimer(StreamTiming.lingerLimit) { $0.lingerEnded() }
            later { $0.flush() }
        case .flushing, .draining, .ending, .closed:
            return
        }
    }

    func handOver() -> DetachedStream? {
        guard case .open = state else { return nil }
        stopWatching()
        let unsent = outbound.takeAll()
        let detached = DetachedStream(descriptor: socket.release(), peer: peer, unsent: unsent)
        endLater(reading: false, .closedHere)
        return detached
    }

    /// Ends the stream from a call of its user, who hears of it afterwards.
    func endLater(reading: Bool, _ closure: StreamClosure) {
        state = .ending
        later { stream in
            if reading { stream.readRest() }
            stream.end(closure)
        }
    }

    func later(_ action: @escaping @Sendable (isolated SocketStream) -> Void) {
        loop.execute { self.assumeIsolated(action) }
    }
}

// MARK: The end

extension SocketStream {
    /// Closes the socket and reports why; only from the loop's callbacks.
    func end(_ closure: StreamClosure) {
        if case .closed = state { return }
        disappear()
        report(closure)
    }

    func report(_ closure: StreamClosure) {
        let onEvent = onEvent
        self.onEvent = nil
        onEvent?(.closed(closure))
    }

    func disappear() {
        state = .closed
        cancelTimer()
        stopWatching()
        socket.close()
        outbound = OutboundQueue()
        let onGone = onGone
        self.onGone = nil
        onGone?()
    }

    func socketAbort() {
        stopWatching()
        socket.abort()
    }

    func setTimer(
        _ delay: Duration,
        _ action: @escaping @Sendable (isolated SocketStream) -> Void
    ) {
        cancelTimer()
        timer = loop.schedule(after: delay) { self.assumeIsolated(action) }
    }

    func cancelTimer() {
        if let timer { loop.cancel(timer) }
        timer = nil
    }

    func startWatching(_ interest: PollInterest) {
        do throws(SocketError) {
            token = try loop.watch(socket.descriptor, for: interest, self)
            self.interest = interest
        } catch {
            endLater(reading: false, .failed(errno: error.errno))
        }
    }

    func stopWatching() {
        if let token { loop.unwatch(token) }
        token = nil
    }

    func updateInterest() {
        guard case .open = state else { return }
        setInterest(outbound.isEmpty ? .readable : [.readable, .writable])
    }

    func setInterest(_ interest: PollInterest) {
        guard let token, interest != self.interest else { return }
        self.interest = interest
        loop.change(token, to: interest)
    }
}
