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
    private var onEvent: (@Sendable (StreamEvent) -> Void)?
    private var onGone: (@Sendable () -> Void)?
    private var token: WatchToken?
    private var interest: PollInterest = []
    /// Ends the wait for the connection, later that for the peer's end.
    private var timer: LoopTimer?

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
}

enum StreamTiming {
    /// How long a closed stream may take to send what is queued and to hear the peer's end.
    static let lingerLimit: Duration = .seconds(5)
    /// How many bytes are read at once before others get their turn.
    static let readByteLimit = 1 << 16
    /// How many reads may follow when the connection is known to be broken.
    static let lastReadLimit = 16
}

// MARK: What the stream's own side does

extension SocketStream {
    private func enqueue(_ bytes: [UInt8]) {
        switch state {
        case .connecting where !closesWhenOpen:
            outbound.append(bytes)
        case .open:
            outbound.append(bytes)
            writeWhenOpen()
            guard case .open = state else { return }
        case .connecting, .flushing, .draining, .ending, .closed:
            return
        }
        if outbound.byteCount > StreamLimits.outboundByteLimit {
            endLater(reading: false, .overflow(byteCount: outbound.byteCount))
        }
    }

    private func beginClosing() {
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

    private func handOver() -> DetachedStream? {
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

// MARK: Opening

extension SocketStream {
    /// Takes an accepted connection into use.
    func begin(
        onEvent: @escaping @Sendable (StreamEvent) -> Void,
        onGone: @escaping @Sendable () -> Void
    ) {
        self.onEvent = onEvent
        self.onGone = onGone
        // Whoever was told of the stream may have sent, closed or passed it on already.
        switch state {
        case .open: startWatching(outbound.isEmpty ? .readable : [.readable, .writable])
        case .flushing: startWatching(.readable)
        case .connecting, .draining, .ending, .closed: return
        }
    }

    /// Starts to connect.
    func connect(
        from source: IPAddress?,
        timeout: Duration,
        onEvent: @escaping @Sendable (StreamEvent) -> Void
    ) {
        self.onEvent = onEvent
        if let errno = socket.startConnecting(to: peer, from: source) {
            endLater(reading: false, .init(connecting: errno))
            return
        }
        startWatching(.writable)
        guard case .connecting = state else { return }
        setTimer(timeout) { $0.connectionEnded(.timedOut) }
    }

    /// Is a stream for which there was no socket.
    func fail(
        _ closure: StreamClosure,
        onEvent: @escaping @Sendable (StreamEvent) -> Void
    ) {
        self.onEvent = onEvent
        endLater(reading: false, closure)
    }

    private func finishConnecting() {
        let status = cposix_connect_result(socket.descriptor)
        if status < 0 {
            connectionEnded(.init(connecting: -status))
        } else if socket.isConnectedToItself {
            connectionEnded(.refused)
        } else {
            cancelTimer()
            state = .open
            setInterest(.readable)
            if closesWhenOpen {
                beginClosing()
                return
            }
            onEvent?(.opened)
            if case .open = state { writeWhenOpen() }
        }
    }

    private func connectionEnded(_ closure: StreamClosure) {
        end(closesWhenOpen ? .closedHere : closure)
    }
}

// MARK: Readiness

extension SocketStream: PollHandler {
    nonisolated func ready(_ events: PollEvents) {
        assumeIsolated { $0.handle(events) }
    }

    private func handle(_ events: PollEvents) {
        switch state {
        case .connecting:
            finishConnecting()
        case .open:
            if events.wantReading { readWhenOpen() }
            if case .open = state, events.wantWriting { writeWhenOpen() }
        case .flushing(let peerEnded):
            if events.wantReading, !peerEnded { discardOnce() }
            if case .flushing = state { flush() }
        case .draining:
            discardOnce()
        case .ending, .closed:
            return
        }
    }

    /// Reads once, so that a busy stream cannot starve the others; the rest stays ready.
    private func readWhenOpen() {
        switch readOnce() {
        case .moved(0): end(.ended)
        case .moved, .wouldBlock: return
        case .failed(let errno): end(.init(connected: errno))
        }
    }

    /// Reads what a peer sent before it broke the connection.
    private func readRest() {
        for _ in 0..<StreamTiming.lastReadLimit {
            guard case .moved(let count) = readOnce(), count > 0 else { return }
        }
    }

    private func readOnce() -> TransferResult {
        // Sized by what waits: events are kept by their receivers, and should not be large.
        let size = max(1, min(socket.availableByteCount, StreamTiming.readByteLimit))
        var bytes = [UInt8](repeating: 0, count: size)
        let result = socket.receive(into: &bytes)
        if case .moved(let count) = result, count > 0 {
            if count < bytes.count { bytes.removeLast(bytes.count - count) }
            onEvent?(.received(bytes))
        }
        return result
    }

    private func discardOnce() {
        var bytes = [UInt8](repeating: 0, count: StreamTiming.readByteLimit)
        switch socket.receive(into: &bytes) {
        case .moved(0):
            if case .flushing = state {
                state = .flushing(peerEnded: true)
                setInterest(.writable)
            } else {
                disappear()
            }
        case .moved, .wouldBlock:
            return
        case .failed:
            end(.closedHere)
        }
    }

    private func writeWhenOpen() {
        switch writeQueued() {
        case .moved, .wouldBlock:
            updateInterest()
        case .failed(let errno):
            // What the peer said before it went may say why: it is read first.
            endLater(reading: true, .init(connected: errno))
        }
    }

    /// Writes until nothing waits or the system takes no more.
    private func writeQueued() -> TransferResult {
        while let (bytes, range) = outbound.next {
            let result = socket.send(bytes, range)
            guard case .moved(let count) = result else { return result }
            outbound.consume(count)
        }
        return .moved(0)
    }

    /// Sends what is queued after `close()`, and then shuts our side.
    private func flush() {
        guard case .flushing(let peerEnded) = state else { return }
        if case .failed = writeQueued() {
            end(.closedHere)
            return
        }
        guard outbound.isEmpty else {
            setInterest(peerEnded ? .writable : [.readable, .writable])
            return
        }
        if peerEnded || cposix_shutdown_write(socket.descriptor) < 0 {
            end(.closedHere)
            return
        }
        state = .draining
        setInterest(.readable)
        report(.closedHere)
    }

    private func lingerEnded() {
        // Bytes that were never taken must not look like all of them.
        if !outbound.isEmpty { socketAbort() }
        end(.closedHere)
    }
}

// MARK: The end

extension SocketStream {
    /// Closes the socket and reports why. Only from the loop's callbacks.
    private func end(_ closure: StreamClosure) {
        if case .closed = state { return }
        disappear()
        report(closure)
    }

    private func report(_ closure: StreamClosure) {
        let onEvent = onEvent
        self.onEvent = nil
        onEvent?(.closed(closure))
    }

    private func disappear() {
        state = .closed
        cancelTimer()
        stopWatching()
        socket.close()
        outbound = OutboundQueue()
        let onGone = onGone
        self.onGone = nil
        onGone?()
    }

    private func socketAbort() {
        stopWatching()
        socket.abort()
    }

    private func setTimer(
        _ delay: Duration,
        _ action: @escaping @Sendable (isolated SocketStream) -> Void
    ) {
        cancelTimer()
        timer = loop.schedule(after: delay) { self.assumeIsolated(action) }
    }

    private func cancelTimer() {
        if let timer { loop.cancel(timer) }
        timer = nil
    }

    private func startWatching(_ interest: PollInterest) {
        do throws(SocketError) {
            token = try loop.watch(socket.descriptor, for: interest, self)
            self.interest = interest
        } catch {
            endLater(reading: false, .failed(errno: error.errno))
        }
    }

    private func stopWatching() {
        if let token { loop.unwatch(token) }
        token = nil
    }

    private func updateInterest() {
        guard case .open = state else { return }
        setInterest(outbound.isEmpty ? .readable : [.readable, .writable])
    }

    private func setInterest(_ interest: PollInterest) {
        guard let token, interest != self.interest else { return }
        self.interest = interest
        loop.change(token, to: interest)
    }
}
