import EventLoop
import Primitives

/// Who hears what happens on a stream.
enum StreamOwner {
    case agent(SimulatedLoop)
    case process(SimulatedProcess)
}

/// Takes streams from outside; belongs to a port of a device.
final class SimulatedListener {
    let owner: StreamOwner
    /// Whether one more connection may wait.
    let hasRoom: () -> Bool
    let accept: (SimulatedStream) -> Void

    init(
        owner: StreamOwner,
        hasRoom: @escaping () -> Bool = { true },
        accept: @escaping (SimulatedStream) -> Void
    ) {
        self.owner = owner
        self.hasRoom = hasRoom
        self.accept = accept
    }
}

/// One end of a TCP stream, as the systems of two devices would keep it: what is sent arrives in
/// order or is sent again, a process that dies resets its streams, a device that goes dark does
/// not, and a reset that gets lost leaves the other end half-open.
final class SimulatedStream: StreamConnection, @unchecked Sendable {
    enum State {
        case connecting
        case open
        /// Closed here; what is queued is still sent.
        case closing
        /// Its owner or its device is gone, or both ends are done.
        case gone
    }

    let peer: Endpoint
    let owner: StreamOwner
    let host: SimulatedHost
    private let id: UInt64
    private(set) var state: State
    var onEvent: ((StreamEvent) -> Void)?

    private var other: SimulatedStream?
    private var listener: SimulatedListener?
    private var queue: [Segment] = []
    private var isSending = false
    private var retryTime: Duration = SimulatedStream.firstRetry
    private var silence: Duration = .zero

    private enum Segment {
        /// The last step of connecting.
        case established
        case bytes([UInt8])
        case end

        var byteCount: Int {
            switch self {
            case .bytes(let bytes): bytes.count
            case .established, .end: 0
            }
        }
    }

    private static let firstRetry: Duration = .milliseconds(200)
    private static let retryLimit: Duration = .seconds(60)
    /// After this long without an answer a system gives a stream up (Linux's tcp_retries2).
    private static let silenceLimit: Duration = .seconds(924)
    private static let timedOut: Int32 = 110

    private init(_ host: SimulatedHost, _ owner: StreamOwner, peer: Endpoint, _ state: State) {
        self.host = host
        self.owner = owner
        self.peer = peer
        self.state = state
        id = host.simulation.nextStream()
        host.streams[id] = self
    }

    private var simulation: Simulation { host.simulation }

    // MARK: - Opening

    static func connect(
        from host: SimulatedHost,
        owner: StreamOwner,
        to destination: Endpoint,
        timeout: Duration,
        onEvent: @escaping (StreamEvent) -> Void
    ) -> SimulatedStream {
        let stream = SimulatedStream(host, owner, peer: destination, .connecting)
        stream.onEvent = onEvent
        stream.ask(again: .seconds(1))
        host.simulation.outside(after: timeout, node: host.index) {
            guard stream.state == .connecting else { return }
            stream.finish(.timedOut)
        }
        return stream
    }

    private func ask(again wait: Duration) {
        guard state == .connecting else { return }
        if let target = simulation.host(at: peer.address) {
            carry(to: target) { [self] in arrive(at: target) }
        }
        simulation.outside(after: wait, node: host.index) { [self] in ask(again: wait * 2) }
    }

    private func arrive(at target: SimulatedHost) {
        guard target.hasPower else { return }
        guard other != nil || target.listeners[peer.port] != nil else {
            carry(from: target, to: host) { [self] in
                if state == .connecting { finish(.refused) }
            }
            return
        }
        if other == nil {
            guard let listener = target.listeners[peer.port], listener.hasRoom() else { return }
            let end = SimulatedStream(
                target,
                listener.owner,
                peer: Endpoint(address: host.address, port: 0),
                .open
            )
            end.listener = listener
            end.other = self
            other = end
        }
        carry(from: target, to: host) { [self] in answered() }
    }

    private func answered() {
        switch state {
        case .connecting:
            state = .open
            trace("open")
            tell(.opened)
            enqueue(.established)
        case .open, .closing: break
        case .gone: other?.resetArrives()
        }
    }

    /// Streams are lines of their own in a trace: what happens to this end, and who the other is.
    private func trace(_ what: @autoclosure () -> String) {
        guard simulation.trace.isWriting else { return }
        simulation.traceStream(id, of: host, to: peer, what())
    }

    // MARK: - Using

    func send(_ bytes: [UInt8]) {
        guard state == .open, !bytes.isEmpty else { return }
        enqueue(.bytes(bytes))
    }

    func close() {
        switch state {
        case .connecting: finish(.closedHere)
        case .open:
            state = .closing
            tell(.closed(.closedHere))
            enqueue(.end)
        case .closing, .gone: break
        }
    }

    func expectSilence() {}

    /// Its owner dies, or its device.
    func vanish(tellsPeer: Bool) {
        guard state != .gone else { return }
        onEvent = nil
        if tellsPeer { sendReset() }
        leave()
    }

    /// Something on the way sends this end a reset in the other's name.
    ///
    /// If the reset gets lost, the stream is half-open.
    func cut(between isMeant: (_ peer: Int) -> Bool) {
        guard state != .gone, let other, other.host !== host, isMeant(other.host.index) else {
            return
        }
        carry(from: other.host, to: host) { [self] in resetArrives() }
    }

    /// Lets go of everything; the run is over.
    func forget() {
        other?.other = nil
        other?.onEvent = nil
        other = nil
        onEvent = nil
        queue = []
    }

    // MARK: - Sending

    private func enqueue(_ segment: Segment) {
        queue.append(segment)
        transmit()
    }

    /// Sends all that waits, in one go; what arrives is taken off the queue.
    private func transmit() {
        guard !isSending, !queue.isEmpty, state != .gone, let other else { return }
        isSending = true
        let count = queue.count
        let fate = simulation.network.fate(
            from: host.index,
            to: other.host.index,
            byteCount: queue.reduce(0) { $0 + $1.byteCount },
            at: simulation.now
        )
        guard case .arrives(let delay, _, _) = fate else {
            retry()
            return
        }
        simulation.outside(after: .nanoseconds(delay), node: other.host.index) { [self] in
            isSending = false
            guard state != .gone else { return }
            guard other.host.hasPower,
                simulation.network.isOpen(from: host.index, to: other.host.index)
            else {
                isSending = true
                retry()
                return
            }
            retryTime = Self.firstRetry
            silence = .zero
            let arrived = queue.prefix(count)
            queue.removeFirst(count)
            for segment in arrived { other.take(segment) }
            transmit()
        }
    }

    private func retry() {
        silence += retryTime
        guard silence < Self.silenceLimit else {
            finish(.failed(errno: Self.timedOut))
            return
        }
        simulation.outside(after: retryTime, node: host.index) { [self] in
            isSending = false
            transmit()
        }
        retryTime = min(retryTime * 2, Self.retryLimit)
    }

    // MARK: - Receiving

    private func take(_ segment: Segment) {
        guard state != .gone else {
            // Nobody is there any more; the system says so.
            sendReset()
            return
        }
        establish()
        switch segment {
        case .established: break
        case .bytes(let bytes):
            if state == .open { tell(.received(bytes)) } else { sendReset() }
        case .end:
            trace("closed")
            if state == .open { tell(.closed(.ended)) }
            leave()
        }
    }

    private func establish() {
        guard let listener else { return }
        self.listener = nil
        switch owner {
        case .agent(let loop):
            simulation.schedule(
                .action(loop) { listener.accept(self) },
                after: 0,
                node: host.index
            )
        case .process: listener.accept(self)
        }
    }

    private func sendReset() {
        guard let other else { return }
        carry(to: other.host) { other.resetArrives() }
    }

    private func resetArrives() {
        guard state != .gone else { return }
        finish(.reset)
    }

    // MARK: - Ending

    private func finish(_ closure: StreamClosure) {
        trace("\(closure)")
        if state != .closing { tell(.closed(closure)) }
        leave()
    }

    private func leave() {
        state = .gone
        queue = []
        host.streams[id] = nil
        if other?.state == .gone {
            other?.other = nil
            other = nil
        }
    }

    /// Later, so that nobody is called back from inside a call of theirs; nothing after `closed`.
    private func tell(_ event: StreamEvent) {
        let pass: () -> Void = { [self] in
            let onEvent = onEvent
            if case .closed = event { self.onEvent = nil }
            onEvent?(event)
        }
        switch owner {
        case .agent(let loop):
            simulation.schedule(.action(loop, pass), after: 0, node: host.index)
        case .process(let process):
            simulation.outside(after: .zero, node: host.index) { if process.isAlive { pass() } }
        }
    }

    /// Takes a control packet across, or loses it.
    private func carry(to target: SimulatedHost, _ action: @escaping () -> Void) {
        carry(from: host, to: target, action)
    }

    private func carry(
        from source: SimulatedHost,
        to target: SimulatedHost,
        _ action: @escaping () -> Void
    ) {
        let fate = simulation.network.fate(
            from: source.index,
            to: target.index,
            byteCount: 0,
            at: simulation.now
        )
        guard case .arrives(let delay, _, _) = fate else { return }
        simulation.outside(after: .nanoseconds(delay), node: target.index) { [self] in
            guard simulation.network.isOpen(from: source.index, to: target.index), target.hasPower
            else { return }
            action()
        }
    }
}
