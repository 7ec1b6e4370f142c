import EventLoop
import Primitives
import SecureChannel
import Sockets
import Wire

/// Opens and takes sealed streams, and passes them on to local servers.
actor SealedStreams: StreamTransport {
    private nonisolated let loop: PollLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.executor }

    private nonisolated let base: SocketStreamTransport
    private nonisolated let relay: Relay
    private nonisolated let identity: DeviceIdentity
    private nonisolated let suite: NoiseSuite
    private nonisolated let refusal: @Sendable (String, String) -> Void
    private nonisolated let filters: SpliceFilters
    private var keys: CurrentKeys
    /// Nil only while a stream uses it.
    private var hellos: HelloLedger?
    private nonisolated let file: HelloFile
    /// Streams from outside whose sender is not known yet.
    private var halfOpen = HalfOpenStreams<SealedStream>()
    private var door: Door?

    /// Who gets the streams from outside.
    struct Door {
        let frames: @Sendable (any StreamConnection) -> @Sendable (StreamEvent) -> Void
        let keys: @Sendable (any StreamConnection, NodeID) -> @Sendable (StreamEvent) -> Void
    }

    init(
        _ base: SocketStreamTransport,
        relay: Relay,
        on loop: PollLoop,
        identity: DeviceIdentity,
        keys: CurrentKeys,
        hellos: HelloLedger,
        file: HelloFile,
        refused: @escaping @Sendable (String, String) -> Void,
        filters: SpliceFilters = SpliceFilters()
    ) {
        self.base = base
        self.relay = relay
        self.loop = loop
        self.identity = identity
        self.keys = keys
        self.hellos = hellos
        self.file = file
        suite = .preferred
        refusal = refused
        self.filters = filters
    }

    func use(_ keys: CurrentKeys) {
        self.keys = keys
        // A device that is out is out of what it has open, too.
        relay.end { tag in tag.node.map(keys.hasRemoved) ?? false }
    }

    func open(_ door: Door) {
        self.door = door
    }

    // MARK: - Opening

    nonisolated func connect(
        to destination: Endpoint,
        timeout: Duration,
        onEvent: @escaping @Sendable (StreamEvent) -> Void
    ) -> any StreamConnection {
        connect(to: destination, for: .frames, timeout: timeout, onEvent: onEvent)
    }

    nonisolated func connect(
        to destination: Endpoint,
        for purpose: StreamPurpose,
        timeout: Duration,
        onEvent: @escaping @Sendable (StreamEvent) -> Void
    ) -> SealedStream {
        let sealed = assumeIsolated { streams in
            streams.make(destination, purpose)
        }
        let stream = base.connect(to: destination, timeout: timeout) { sealed.happened($0) }
        guard let stream = stream as? SocketStream else {
            preconditionFailure("the transport below opens socket streams")
        }
        sealed.assumeIsolated { $0.begin(stream, onEvent: onEvent) }
        return sealed
    }

    private func make(_ destination: Endpoint, _ purpose: StreamPurpose) -> SealedStream {
        do throws(SecureChannelError) {
            let (seal, hello) = try withHellos { hellos throws(SecureChannelError) in
                try StreamSeal.connecting(
                    to: destination,
                    for: purpose,
                    suite: suite,
                    identity: identity,
                    keys: keys,
                    hellos: &hellos
                )
            }
            return SealedStream(self, on: loop, peer: destination, seal: seal, hello: hello)
        } catch {
            preconditionFailure("a handshake of our own begins: \(error)")
        }
    }

    // MARK: - Taking

    /// Takes a connection from outside; nobody hears of it before it is known who it is.
    nonisolated func accept(
        _ stream: SocketStream
    ) -> @Sendable (StreamEvent) -> Void {
        let sealed = assumeIsolated { $0.take(stream) }
        guard let sealed else {
            stream.close()
            return { _ in }
        }
        return { sealed.happened($0) }
    }

    private func take(_ stream: SocketStream) -> SealedStream? {
        guard halfOpen.hasRoom(for: stream.peer.address) else {
            refusal("stream.tooManyHalfOpen", "from \(stream.peer)")
            return nil
        }
        let sealed = SealedStream(
            self,
            on: loop,
            peer: stream.peer,
            seal: StreamSeal(accepting: identity, keys: keys)
        )
        let given = halfOpen.add(sealed, from: stream.peer.address)
        sealed.assumeIsolated { $0.begin(stream) }
        if let given {
            refusal("stream.tooManyHalfOpen", "from \(given.peer)")
            // Not while the listener takes the new one.
            loop.execute { given.close() }
        }
        return sealed
    }

    nonisolated func welcome(
        _ sealed: SealedStream,
        _ node: NodeID,
        _ purpose: StreamPurpose
    ) -> (@Sendable (StreamEvent) -> Void)? {
        let door = assumeIsolated { streams in
            streams.halfOpen.remove(sealed)
            return streams.door
        }
        switch purpose {
        case .frames: return door?.frames(sealed)
        case .keys: return door?.keys(sealed, node)
        }
    }

    nonisolated func forget(_ sealed: SealedStream) {
        assumeIsolated { $0.halfOpen.remove(sealed) }
    }

    nonisolated func receive(
        _ bytes: [UInt8],
        on seal: inout StreamSeal,
        _ answer: inout [UInt8],
        _ events: inout [StreamSeal.Event]
    ) throws(SecureChannelError) {
        var hellos = assumeIsolated { $0.takeHellos() }
        defer { assumeIsolated { $0.putBack(hellos) } }
        try seal.receive(bytes, hellos: &hellos, answer: &answer, events: &events)
    }

    private func withHellos<Result>(
        _ use: (inout HelloLedger) throws(SecureChannelError) -> Result
    ) throws(SecureChannelError) -> Result {
        var hellos = takeHellos()
        defer { putBack(hellos) }
        return try use(&hellos)
    }

    /// Moved, not copied.
    private func takeHellos() -> HelloLedger {
        guard let taken = hellos else { preconditionFailure("one stream at a time uses them") }
        hellos = nil
        return taken
    }

    private func putBack(_ hellos: HelloLedger) {
        var hellos = hellos
        file.keep(&hellos)
        self.hellos = hellos
    }

    nonisolated func refused(_ error: SecureChannelError, from peer: Endpoint) {
        refusal("stream.\(error.reason)", "from \(peer): \(error)")
    }

    // MARK: - Passing on

    nonisolated var spliceFeatures: ServiceFeatures { filters.features }

    nonisolated func splice(
        _ connection: any StreamConnection,
        first: [UInt8],
        to local: Endpoint,
        under ballot: Ballot?,
        with features: ServiceFeatures
    ) {
        guard let sealed = connection as? SealedStream else {
            preconditionFailure("only streams of this transport can be spliced")
        }
        let node = sealed.assumeIsolated { $0.node }
        // A stream that has ended meanwhile says so itself.
        guard let detached = sealed.detach() else { return }
        relay.splice(
            detached.stream,
            first: first,
            to: local,
            options: RelayOptions(
                firstRecords: detached.records,
                tag: RelayTag(ballot: ballot, node: node),
                makeFilter: filters.maker(for: local, with: features)
            )
        )
    }

    nonisolated func endSplices(before ballot: Ballot) {
        base.endSplices(before: ballot)
    }

    nonisolated func endSplices(with member: NodeID) {
        base.endSplices(with: member)
    }
}
