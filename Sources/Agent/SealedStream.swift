import EventLoop
import Primitives
import SecureChannel
import Sockets
import Wire

/// A stream to another agent whose bytes are sealed: a handshake first, then what its user sends.
///
/// To its user it is a stream like any other; `.opened` comes when the other side is known.
actor SealedStream: StreamConnection {
    nonisolated let peer: Endpoint
    private nonisolated let loop: PollLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.executor }

    private nonisolated let owner: SealedStreams
    private var stream: SocketStream?
    private var seal: StreamSeal
    /// What the side that connects says first.
    private var hello: [UInt8]
    /// What the user sent before the handshake was done.
    private var waiting: [UInt8] = []
    private var onEvent: (@Sendable (StreamEvent) -> Void)?
    private var timer: LoopTimer?
    private var hasPeerEnded = false
    private var closesWhenOpen = false
    /// The first bytes that came, until they tell who their sender is.
    private var beginning: [UInt8] = []
    private var isKnown = false
    /// The device at the other end.
    private(set) var node: NodeID?

    /// How long a handshake may take.
    static let handshakeLimit: Duration = .seconds(5)

    init(
        _ owner: SealedStreams,
        on loop: PollLoop,
        peer: Endpoint,
        seal: StreamSeal,
        hello: [UInt8] = []
    ) {
        self.owner = owner
        self.loop = loop
        self.peer = peer
        self.seal = seal
        self.hello = hello
    }

    func begin(
        _ stream: SocketStream,
        onEvent: (@Sendable (StreamEvent) -> Void)? = nil
    ) {
        self.stream = stream
        self.onEvent = onEvent
        // A side that accepts waits from the first moment.
        if hello.isEmpty { limitHandshake() }
    }

    private func limitHandshake() {
        timer = loop.schedule(after: Self.handshakeLimit) { [self] in
            assumeIsolated { $0.fail(.timedOut) }
        }
    }

    nonisolated func send(_ bytes: [UInt8]) {
        assumeIsolated { $0.enqueue(bytes) }
    }

    nonisolated func close() {
        assumeIsolated { $0.beginClosing() }
    }

    nonisolated func expectSilence() {
        assumeIsolated { $0.stream }?.expectSilence()
    }

    private func enqueue(_ bytes: [UInt8]) {
        guard node != nil else {
            waiting += bytes
            if waiting.count > StreamLimits.outboundByteLimit { beginClosing() }
            return
        }
        var sealed: [UInt8] = []
        guard (try? seal.seal(bytes, into: &sealed)) != nil else { return }
        stream?.send(sealed)
    }

    private func beginClosing() {
        guard node != nil || stream == nil else {
            // What was sent before the other side is known is still sent then.
            if waiting.isEmpty { stream?.close() } else { closesWhenOpen = true }
            return
        }
        var mark: [UInt8] = []
        seal.end(into: &mark)
        if !mark.isEmpty { stream?.send(mark) }
        stream?.close()
    }

    /// Takes the stream out of the loop's hands, with its keys; nil if it is not open.
    nonisolated func detach() -> (stream: DetachedStream, records: RecordLayer)? {
        assumeIsolated { sealed in
            guard sealed.node != nil, let stream = sealed.stream, let detached = stream.detach(),
                let records = sealed.seal.takeRecords()
            else { return nil }
            return (detached, records)
        }
    }

    // MARK: - What happens

    nonisolated func happened(_ event: StreamEvent) {
        assumeIsolated { $0.handle(event) }
    }

    private func handle(_ event: StreamEvent) {
        switch event {
        case .opened:
            limitHandshake()
            stream?.send(hello)
        case .received(let bytes): receive(bytes)
        case .closed(.ended): end(hasPeerEnded ? .ended : .reset)
        case .closed(let closure): end(closure)
        }
    }

    private func receive(_ bytes: [UInt8]) {
        var answer: [UInt8] = []
        var events: [StreamSeal.Event] = []
        do throws(SecureChannelError) {
            try owner.receive(bytes, on: &seal, &answer, &events)
            if !answer.isEmpty { stream?.send(answer) }
            for event in events { try tell(event) }
        } catch {
            owner.refused(error, from: peer)
            fail(.reset)
        }
    }

    private func tell(_ event: StreamSeal.Event) throws(SecureChannelError) {
        switch event {
        case .established(let node, let purpose):
            if let timer { loop.cancel(timer) }
            timer = nil
            self.node = node
            if onEvent == nil {
                onEvent = owner.welcome(self, node, purpose)
            } else {
                onEvent?(.opened)
            }
            // Frames begin with who sends them; keys are told by nobody but the device itself.
            isKnown = purpose == .keys
            let waiting = waiting
            self.waiting = []
            if !waiting.isEmpty { enqueue(waiting) }
            if closesWhenOpen { beginClosing() }
        case .received(let bytes): try pass(bytes)
        case .ended: hasPeerEnded = true
        }
    }

    /// Nobody speaks in another device's name.
    private func pass(_ bytes: [UInt8]) throws(SecureChannelError) {
        guard !isKnown else {
            onEvent?(.received(bytes))
            return
        }
        beginning += bytes
        guard beginning.count >= WireHeader.byteCount else { return }
        let sender = NodeID(
            beginning[(WireHeader.byteCount - NodeID.byteCount)..<WireHeader.byteCount]
                .reduce(0 as UInt128) { $0 << 8 | UInt128($1) }
        )
        guard sender == node else { throw .otherSender }
        isKnown = true
        let all = beginning
        beginning = []
        onEvent?(.received(all))
    }

    private func fail(_ closure: StreamClosure) {
        let stream = stream
        end(closure)
        stream?.close()
    }

    private func end(_ closure: StreamClosure) {
        guard stream != nil else { return }
        stream = nil
        if let timer { loop.cancel(timer) }
        timer = nil
        owner.forget(self)
        let onEvent = onEvent
        self.onEvent = nil
        onEvent?(.closed(closure))
    }
}
