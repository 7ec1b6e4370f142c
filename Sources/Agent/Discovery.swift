import EventLoop
import Primitives
import Runtime
import SecureChannel
import Sockets
import Wire

/// Finds other agents without any configuration: says where this agent is on every interface it
/// uses, and hears where others are.
///
/// Beacons only tell where to ask; whoever answers there is met like a seed.
actor Discovery {
    private nonisolated let loop: PollLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor {
        loop.executor
    }

    private let socket: BeaconSocket
    private let observer: AgentObserver
    private let receiver: Membership
    private let beacon: [UInt8]
    /// Nil in a cluster without a key.
    private nonisolated let seal: SealedBeacons?
    private var sentCount = 0
    private var isStopped = false

    /// Beacons come fast while a device has just started, and rarely afterwards.
    private static let fastCount = 8
    private static let fastInterval: Duration = .seconds(1)
    private static let slowInterval: Duration = .seconds(10)

    init(
        loop: PollLoop,
        bind: IPAddress,
        endpoint: Endpoint,
        header: WireHeader,
        core: AgentCore,
        observer: AgentObserver,
        seal: SealedBeacons?
    ) throws(SocketError) {
        self.seal = seal
        self.loop = loop
        self.observer = observer
        receiver = core.membership
        socket = try BeaconSocket(on: loop, port: AgentConfiguration.beaconPort, agent: bind)
        var bytes: [UInt8] = []
        Datagram(header: header, messages: [.beacon(endpoint)]).encode(into: &bytes)
        beacon = bytes
    }

    /// Called on the loop, as is everything here.
    func start() throws {
        try socket.assumeIsolated { try $0.start(self) }
        send()
    }

    func stop() {
        isStopped = true
        socket.assumeIsolated { $0.close() }
    }

    private func send() {
        guard !isStopped else { return }
        let beacon = seal?.seal(beacon) ?? beacon
        socket.assumeIsolated { socket in
            // Interfaces come and go: a phone changes its network without telling us.
            try? socket.refresh()
            socket.send(beacon.span)
        }
        sentCount += 1
        let interval = sentCount < Self.fastCount ? Self.fastInterval : Self.slowInterval
        loop.schedule(after: interval) { [self] in assumeIsolated { $0.send() } }
    }
}

extension Discovery: DatagramReceiver {
    /// Beacons go to everybody; who does not listen says nothing of anybody.
    nonisolated func refused(by destination: Endpoint) {}

    /// Beacons of other clusters on the network are none of our business, and no reason for a
    /// line in the log.
    nonisolated func receive(_ bytes: Span<UInt8>, from source: Endpoint) {
        guard let seal else {
            take(bytes, from: source)
            return
        }
        switch seal.open([UInt8](copying: bytes)) {
        case .success(let datagram): take(datagram.span, from: source)
        case .failure(.unknownKey), .failure(.badMagic): return
        case .failure(let error):
            observer.refused(
                "beacon.\(error.reason)",
                detail: "\(bytes.count) bytes from \(source): \(error)"
            )
        }
    }

    private nonisolated func take(_ bytes: Span<UInt8>, from source: Endpoint) {
        do throws(WireError) {
            let own = try Datagram(decoding: bytes, cluster: receiver.clusterTag)
            receiver.receive(own, from: source)
        } catch {
            if case .otherCluster = error { return }
            observer.refused(
                "beacon.\(error.reason)",
                detail: "\(bytes.count) bytes from \(source): \(error)"
            )
        }
    }
}
