internal import CPosix
package import EventLoop
package import Primitives

/// Small datagrams to whoever listens nearby, so that agents find each other without addresses.
///
/// Sends over every path of `Beacons.paths` and hears what arrives on the same interfaces; agents
/// on one machine share the port, and hear each other and themselves. An actor on its loop.
package actor BeaconSocket {
    private nonisolated let counters = DatagramCounters()
    private nonisolated let loop: PollLoop
    private nonisolated let port: UInt16
    private nonisolated let agent: IPAddress
    private nonisolated let scopes: LinkScopes
    private let v4: Socket?
    private let v6: Socket?
    private var buffer = [UInt8](repeating: 0, count: Beacons.byteLimit)
    private var receiver: (any DatagramReceiver)?
    private var tokens: [WatchToken] = []
    /// The interfaces whose groups were joined, in order.
    private var joined: [Membership] = []

    /// The ways over which beacons go now.
    package private(set) var paths: [BeaconPath] = []

    private struct Membership: Hashable {
        let interface: UInt32
        let isV6: Bool
    }

    /// Makes the sockets for an agent bound to an address; `start` finds the paths.
    package init(
        on loop: PollLoop,
        port: UInt16,
        agent: IPAddress,
        scopes: LinkScopes = LinkScopes()
    ) throws(SocketError) {
        switch agent {
        case .v4:
            v4 = try Socket.forBeacons(.v4(0), port)
            v6 = nil
        case .v6:
            v6 = try Socket.forBeacons(.v6(0), port)
            v4 = agent.isUnspecified ? try? Socket.forBeacons(.v4(0), port) : nil
        }
        self.loop = loop
        self.port = port
        self.agent = agent
        self.scopes = scopes
    }

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.asUnownedSerialExecutor()
    }

    /// Hands all beacons to the receiver, the agent's own included, until `close()`.
    package func start(_ receiver: any DatagramReceiver) throws(SocketError) {
        precondition(self.receiver == nil, "a socket has one receiver")
        self.receiver = receiver
        if let v4 { try watch(v4) }
        if let v6 { try watch(v6) }
        try refresh()
    }

    private func watch(_ socket: Socket) throws(SocketError) {
        let handler = BeaconHandler(beacons: self, socket: socket)
        tokens.append(try loop.watch(socket.descriptor, for: .readable, handler))
    }

    /// Looks at the machine's interfaces anew; they come and go with networks.
    ///
    /// If they cannot be read, the paths stay as they were.
    package func refresh() throws(SocketError) {
        paths = Beacons.paths(for: agent, port: port, among: try Interfaces.addresses())
        let wanted = paths.map { Membership(interface: $0.interface, isV6: $0.isV6) }
        for membership in joined where !wanted.contains(membership) {
            // An interface that is gone has forgotten it already.
            _ = socket(membership.isV6).map {
                cposix_leave_group($0.descriptor, group(membership.isV6), membership.interface)
            }
        }
        var now: [Membership] = []
        for membership in wanted where !now.contains(membership) {
            now.append(membership)
            // One that is joined already says so; one that cannot be joined can still send.
            _ = socket(membership.isV6).map {
                cposix_join_group($0.descriptor, group(membership.isV6), membership.interface)
            }
        }
        joined = now
    }

    /// Sends over every path; what does not get out is counted.
    package func send(_ bytes: Span<UInt8>) {
        precondition(bytes.count <= Beacons.byteLimit, "a beacon is small")
        for path in paths {
            guard let socket = socket(path.isV6) else { continue }
            let errno = socket.sendDatagram(
                bytes,
                to: path.destination,
                interface: path.interface,
                source: path.source
            )
            counters.noteSent(bytes.count, errno: errno)
        }
    }

    package func close() {
        for token in tokens { loop.unwatch(token) }
        tokens = []
        receiver = nil
        paths = []
        v4?.close()
        v6?.close()
    }

    /// Callable from any thread.
    package nonisolated var counts: DatagramCounts { counters.snapshot }

    private func socket(_ isV6: Bool) -> Socket? { isV6 ? v6 : v4 }

    private func group(_ isV6: Bool) -> cposix_endpoint {
        let address = isV6 ? .v6(Beacons.groupV6Bits) : Beacons.groupV4
        return Endpoint(address: address, port: port).system
    }
}

extension BeaconSocket {
    fileprivate func receiveWaiting(_ socket: Socket) {
        for _ in 0..<DatagramLimits.receiveBatchLimit {
            guard let receiver else { return }
            switch socket.receiveDatagram(into: &buffer) {
            case .wouldBlock:
                return
            case .failed:
                counters.receiveErrors.add()
            case .arrived(let datagram):
                // The socket hears the whole machine; the agent must not.
                guard paths.contains(where: { $0.interface == datagram.interface }),
                    !datagram.isTruncated
                else {
                    counters.ignored.add()
                    continue
                }
                counters.noteReceived(datagram)
                loop.readClock()
                receiver.receive(
                    buffer.span.extracting(0..<datagram.byteCount),
                    from: scopes.heard(datagram.source)
                )
            }
        }
    }
}

/// Tells the beacons which of their sockets is ready.
private final class BeaconHandler: PollHandler {
    private let beacons: BeaconSocket
    private let socket: Socket

    init(beacons: BeaconSocket, socket: Socket) {
        self.beacons = beacons
        self.socket = socket
    }

    func ready(_ events: PollEvents) {
        beacons.assumeIsolated { $0.receiveWaiting(socket) }
    }
}

extension BeaconPath {
    fileprivate var isV6: Bool {
        switch source {
        case .v4: false
        case .v6: true
        }
    }
}

extension Socket {
    fileprivate static func forBeacons(
        _ address: IPAddress,
        _ port: UInt16
    ) throws(SocketError) -> Socket {
        let socket = try make(.datagrams, for: address)
        try socket.set(CPOSIX_SHARE_PORT)
        switch address {
        case .v4:
            try socket.set(CPOSIX_MULTICAST_V4)
            try socket.set(CPOSIX_ARRIVAL_V4)
            socket.wish(CPOSIX_BROADCAST)
        case .v6:
            try socket.set(CPOSIX_MULTICAST_V6)
            try socket.set(CPOSIX_ARRIVAL_V6)
        }
        let endpoint = Endpoint(address: address, port: port)
        try socket.bind(to: endpoint, kind: .datagrams, takesBoth: false)
        return socket
    }
}
