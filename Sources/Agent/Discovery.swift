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
    private let core: AgentCore
    private let receiver: Membership
    private let detours: DetourTransport
    /// Nil in a cluster without a key.
    private nonisolated let seal: SealedBeacons?
    private let bind: IPAddress
    private let header: WireHeader
    private var endpoint: Endpoint
    private var watch: InterfaceWatch?
    private var sentCount = 0
    private var hasMoved = false
    private var timer: LoopTimer?
    private var isStopped = false
    private var onMove: (@Sendable (Endpoint) -> Void)?
    private(set) var heard = HeardBeacons()

    /// Beacons come fast while a device has just started, more rarely afterwards, and most rarely
    /// once it has met others: whoever starts then is heard at once.
    private static let fastCount = 8
    private static let fastInterval: Duration = .seconds(1)
    private static let slowInterval: Duration = .seconds(10)
    private static let metInterval: Duration = .seconds(30)
    /// An interface that comes up changes several times within a moment.
    private static let settlingTime: Duration = .milliseconds(300)

    init(
        loop: PollLoop,
        bind: IPAddress,
        endpoint: Endpoint,
        header: WireHeader,
        core: AgentCore,
        observer: AgentObserver,
        seal: SealedBeacons?,
        scopes: LinkScopes,
        detours: DetourTransport
    ) throws(SocketError) {
        self.seal = seal
        self.detours = detours
        self.loop = loop
        self.observer = observer
        self.core = core
        receiver = core.membership
        self.bind = bind
        self.endpoint = endpoint
        self.header = header
        socket = try BeaconSocket(
            on: loop,
            port: AgentConfiguration.beaconPort,
            agent: bind,
            scopes: scopes
        )
    }

    /// Called on the loop, as is everything here.
    ///
    /// - Parameter onMove: hears where this agent is reached whenever that changes.
    func start(onMove: @escaping @Sendable (Endpoint) -> Void) throws {
        self.onMove = onMove
        try socket.assumeIsolated { try $0.start(self) }
        watch = InterfaceWatch(on: loop) { [self] in assumeIsolated { $0.interfacesChanged() } }
        send()
    }

    func stop() {
        isStopped = true
        onMove = nil
        watch?.close()
        watch = nil
        socket.assumeIsolated { $0.close() }
    }

    var paths: [BeaconPath] { socket.assumeIsolated { $0.paths } }
    nonisolated var counts: DatagramCounts { socket.counts }

    /// The system says that something about its interfaces is new.
    private func interfacesChanged() {
        guard !isStopped, sentCount > 0 else { return }
        // Whoever is on the new network has not heard of this agent.
        beginAnew()
        schedule(after: Self.settlingTime)
    }

    private func send() {
        guard !isStopped else { return }
        // Looked at each time: a phone changes its network without telling us.
        followAddress()
        var beacon: [UInt8] = []
        Datagram(header: header, messages: [.beacon(endpoint)]).encode(into: &beacon)
        let sealed = seal?.seal(beacon) ?? beacon
        socket.assumeIsolated { socket in
            try? socket.refresh()
            socket.send(sealed.span)
        }
        sentCount += 1
        schedule(after: interval)
    }

    private var interval: Duration {
        // Whoever starts and meets others is known to all of them at once. On another network
        // those whom it knows may be out of reach.
        let hasMet = !core.otherMembers().isEmpty
        guard sentCount >= Self.fastCount || hasMet && !hasMoved else { return Self.fastInterval }
        return hasMet ? Self.metInterval : Self.slowInterval
    }

    private func beginAnew() {
        sentCount = 0
        hasMoved = true
    }

    private func schedule(after delay: Duration) {
        if let timer { loop.cancel(timer) }
        timer = loop.schedule(after: delay) { [self] in assumeIsolated { $0.send() } }
    }

    /// Says where this agent is reached now, if that is somewhere else.
    private func followAddress() {
        guard bind.isUnspecified, let addresses = try? Interfaces.addresses() else { return }
        let address = OwnAddress.choose(for: bind, among: addresses, current: endpoint.address)
        // Without any network the old address is as good as loopback, and may come back.
        guard address != endpoint.address, !address.isLoopback else { return }
        endpoint = Endpoint(address: address, port: endpoint.port)
        beginAnew()
        heard.forget()
        onMove?(endpoint)
    }

    private func note(_ datagram: Datagram, from source: Endpoint) {
        for case .beacon(let endpoint) in datagram.messages {
            if datagram.header.sender == header.sender {
                heard.noteOwn()
            } else {
                heard.note(endpoint, from: source.address, at: loop.now)
                detours.assumeIsolated { $0.noteBeacon(endpoint, from: source.address) }
            }
        }
    }
}

extension Discovery: DatagramReceiver {
    /// Beacons go to everybody; who does not listen says nothing of anybody.
    nonisolated func refused(by destination: Endpoint) {}

    /// Beacons of other clusters on the network are none of our business, and no reason for a
    /// line in the log; a diagnosis tells of them.
    nonisolated func receive(_ bytes: Span<UInt8>, from source: Endpoint) {
        guard let seal else {
            take(bytes, from: source)
            return
        }
        switch seal.open([UInt8](copying: bytes)) {
        case .success(let datagram): take(datagram.span, from: source)
        case .failure(.unknownKey):
            assumeIsolated { $0.heard.note(nil, from: source.address, at: $0.loop.now) }
        case .failure(.badMagic), .failure(.repeated): return
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
            assumeIsolated { $0.note(own, from: source) }
            receiver.receive(own, from: source)
        } catch {
            if case .otherCluster = error {
                assumeIsolated { $0.heard.note(nil, from: source.address, at: $0.loop.now) }
                return
            }
            observer.refused(
                "beacon.\(error.reason)",
                detail: "\(bytes.count) bytes from \(source): \(error)"
            )
        }
    }
}
