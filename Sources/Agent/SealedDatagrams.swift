import EventLoop
import Primitives
import SecureChannel
import Sockets
import Wire

/// The one place where an agent's datagrams are sealed and opened: between its socket and its
/// actors, who know nothing of it.
///
/// A sealed message does not carry the header of frame.md: its sender is known by the session,
/// and the cluster by the key.
actor SealedDatagrams: DatagramTransport {
    private nonisolated let loop: PollLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.executor }

    private nonisolated let socket: UDPSocket
    private nonisolated let cluster: UInt64
    private nonisolated let refused: @Sendable (String, String) -> Void
    private nonisolated let file: HelloFile
    private var sessions: DatagramSessions
    private var receiver: (any DatagramReceiver)?
    private var isRetrying = false
    // Used again and again.
    private var message: [UInt8] = []
    private var bytes: [UInt8] = []

    /// How much longer a sealed datagram is.
    static let extraByteCount = DatagramSessions.messageOverhead - WireHeader.byteCount
    private static let retryInterval: Duration = .milliseconds(100)

    init(
        _ socket: UDPSocket,
        on loop: PollLoop,
        cluster: UInt64,
        identity: DeviceIdentity,
        keys: CurrentKeys,
        hellos: HelloLedger,
        file: HelloFile,
        refused: @escaping @Sendable (String, String) -> Void
    ) {
        self.socket = socket
        self.loop = loop
        self.cluster = cluster
        self.refused = refused
        self.file = file
        sessions = DatagramSessions(identity: identity, keys: keys, hellos: hellos)
    }

    /// Called on the loop, as is everything here.
    func start(_ receiver: any DatagramReceiver) throws {
        self.receiver = receiver
        try socket.assumeIsolated { try $0.start(self) }
    }

    func use(_ keys: CurrentKeys) {
        sessions.use(keys)
    }

    nonisolated func send(_ bytes: Span<UInt8>, to destination: Endpoint) {
        assumeIsolated { $0.transmit(bytes, to: destination) }
    }

    private func transmit(_ plain: Span<UInt8>, to destination: Endpoint) {
        precondition(plain.count >= WireHeader.byteCount, "a datagram has a header")
        message.removeAll(keepingCapacity: true)
        for index in WireHeader.byteCount..<plain.count { message.append(plain[index]) }
        if sessions.seal(message, to: destination, at: loop.now, into: &bytes) {
            socket.send(bytes.span, to: destination)
        }
        flush()
    }

    private func flush() {
        if !sessions.outbox.isEmpty {
            let outbox = sessions.outbox
            sessions.outbox.removeAll(keepingCapacity: true)
            for (bytes, endpoint) in outbox { socket.send(bytes.span, to: endpoint) }
        }
        file.keep(&sessions.hellos)
        guard sessions.isWaiting, !isRetrying else { return }
        isRetrying = true
        loop.schedule(after: Self.retryInterval) { [self] in assumeIsolated { $0.retry() } }
    }

    private func retry() {
        isRetrying = false
        sessions.retry(at: loop.now)
        flush()
    }
}

extension SealedDatagrams: DatagramReceiver {
    nonisolated func receive(_ bytes: Span<UInt8>, from source: Endpoint) {
        assumeIsolated { $0.take(bytes, from: source) }
    }

    nonisolated func refused(by destination: Endpoint) {
        assumeIsolated { $0.receiver }?.refused(by: destination)
    }

    private func take(_ sealed: Span<UInt8>, from source: Endpoint) {
        bytes.removeAll(keepingCapacity: true)
        for index in sealed.indices { bytes.append(sealed[index]) }
        message.removeAll(keepingCapacity: true)
        message.append(contentsOf: repeatElement(0, count: WireHeader.byteCount))
        let sender: NodeID?
        do throws(SecureChannelError) {
            sender = try sessions.open(bytes, from: source, at: loop.now, into: &message)
        } catch {
            // A word that was said twice to be sure.
            if error == .repeated { return }
            refused("datagram.\(error.reason)", "\(sealed.count) bytes from \(source): \(error)")
            return
        }
        flush()
        guard let sender else { return }
        var header: [UInt8] = []
        WireHeader(cluster: cluster, sender: sender).encode(into: &header)
        message.replaceSubrange(..<WireHeader.byteCount, with: header)
        receiver?.receive(message.span, from: source)
    }
}

/// Seals an agent's beacons and opens those of others.
actor SealedBeacons {
    private nonisolated let loop: PollLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.executor }

    private nonisolated let cluster: UInt64
    private var seal: BeaconSeal

    init(on loop: PollLoop, cluster: UInt64, own: NodeID, keys: CurrentKeys) {
        self.loop = loop
        self.cluster = cluster
        seal = BeaconSeal(own: own, keys: keys)
    }

    func use(_ keys: CurrentKeys) {
        seal.use(keys)
    }

    /// - Parameter beacon: a whole datagram, with the header of frame.md.
    nonisolated func seal(_ beacon: [UInt8]) -> [UInt8] {
        assumeIsolated {
            $0.seal.seal(
                Array(beacon.dropFirst(WireHeader.byteCount)),
                time: ClusterKeyFile.nowMilliseconds
            )
        }
    }

    /// The datagram, with its header.
    nonisolated func open(_ bytes: [UInt8]) -> Result<[UInt8], SecureChannelError> {
        assumeIsolated { $0.opened(bytes) }
    }

    private func opened(_ bytes: [UInt8]) -> Result<[UInt8], SecureChannelError> {
        do throws(SecureChannelError) {
            // The loop was made when this agent was started.
            let uptime = (loop.now - .origin).wholeMilliseconds
            let (sender, message) = try seal.open(
                bytes,
                time: ClusterKeyFile.nowMilliseconds,
                uptime: UInt64(max(0, uptime))
            )
            var datagram: [UInt8] = []
            WireHeader(cluster: cluster, sender: sender).encode(into: &datagram)
            return .success(datagram + message)
        } catch {
            return .failure(error)
        }
    }
}
