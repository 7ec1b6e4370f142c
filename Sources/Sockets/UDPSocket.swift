internal import CPosix
package import EventLoop
package import Primitives

/// The UDP socket of an agent: gossip in and out, without an allocation per datagram.
///
/// An actor on its loop. Errors of the network are loss, which gossip expects: they are counted
/// and never end the receiving.
package actor UDPSocket: DatagramTransport {
    /// The address and the port in use; the port is chosen by the system if it was asked to.
    package nonisolated let local: Endpoint
    private nonisolated let counters = DatagramCounters()
    private nonisolated let loop: PollLoop
    private nonisolated let socket: Socket
    private nonisolated let scopes: LinkScopes
    private var buffer = [UInt8](repeating: 0, count: DatagramLimits.receiveBufferByteCount)
    private var receiving: (receiver: any DatagramReceiver, token: WatchToken)?

    /// Binds the socket; from then on the system keeps what arrives, within its limits.
    ///
    /// The address is not shared: a second agent at the same one fails.
    ///
    /// - Parameter scopes: what all sockets of an agent learn together.
    package init(
        on loop: PollLoop,
        at endpoint: Endpoint,
        scopes: LinkScopes = LinkScopes()
    ) throws(SocketError) {
        let socket = try Socket.make(.datagrams, for: endpoint.address)
        try socket.bind(to: endpoint, kind: .datagrams)
        socket.wish(CPOSIX_RECEIVE_BUFFER, DatagramLimits.systemBufferByteCount)
        socket.wish(CPOSIX_BROADCAST)
        socket.wish(CPOSIX_REFUSALS_V4)
        if case .v6 = endpoint.address { socket.wish(CPOSIX_REFUSALS_V6) }
        self.socket = socket
        self.loop = loop
        self.scopes = scopes
        local = socket.local ?? endpoint
    }

    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.asUnownedSerialExecutor()
    }

    /// Hands all datagrams to the receiver, from now on and until `close()`.
    package func start(_ receiver: any DatagramReceiver) throws(SocketError) {
        precondition(receiving == nil, "a socket has one receiver")
        let token = try loop.watch(socket.descriptor, for: .readable, self)
        receiving = (receiver, token)
    }

    /// Gives the address back; whatever is sent later is dropped.
    package func close() {
        if let receiving { loop.unwatch(receiving.token) }
        receiving = nil
        socket.close()
    }

    package nonisolated func send(_ bytes: Span<UInt8>, to destination: Endpoint) {
        assumeIsolated { $0.transmit(bytes, to: destination) }
    }

    /// What went through the socket so far; callable from any thread.
    package nonisolated var counts: DatagramCounts { counters.snapshot }

    private func transmit(_ bytes: Span<UInt8>, to destination: Endpoint) {
        guard destination.address.needsScope else {
            put(bytes, to: local.address.isV4 ? destination : destination.mappedToV6)
            return
        }
        for place in scopes.places(of: destination, at: loop.now) { put(bytes, to: place) }
    }

    private func put(_ bytes: Span<UInt8>, to target: Endpoint) {
        var errno = socket.sendDatagram(bytes, to: target)
        // The answer to an earlier datagram, told once and instead of sending this one.
        if case .refused = SocketFailure(errno: errno) {
            errno = socket.sendDatagram(bytes, to: target)
        }
        counters.noteSent(bytes.count, errno: errno)
    }
}

extension UDPSocket: PollHandler {
    nonisolated func ready(_ events: PollEvents) {
        assumeIsolated {
            if events.contains(.failed) { $0.takeRefusals() }
            $0.receiveWaiting()
        }
    }

    /// Hears that datagrams were not delivered: nobody listens there (ICMP).
    private func takeRefusals() {
        for _ in 0..<DatagramLimits.receiveBatchLimit {
            guard let receiver = receiving?.receiver else { return }
            let refusal = cposix_take_refusal(socket.descriptor)
            guard refusal.found else { return }
            counters.receiveErrors.add()
            guard case .refused = SocketFailure(errno: refusal.error),
                let destination = Endpoint(system: refusal.destination)
            else { continue }
            loop.readClock()
            receiver.refused(by: scopes.heard(destination))
        }
    }

    private func receiveWaiting() {
        for _ in 0..<DatagramLimits.receiveBatchLimit {
            // Asked each time, for the receiver may close the socket.
            guard let receiver = receiving?.receiver else { return }
            switch socket.receiveDatagram(into: &buffer) {
            case .wouldBlock:
                return
            case .failed:
                // An answer to something sent before (ICMP), not a failure of this socket.
                counters.receiveErrors.add()
            case .arrived(let datagram):
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

enum DatagramLimits {
    /// No datagram is larger than 65,507 bytes over IPv4, or 65,527 over IPv6.
    static let receiveBufferByteCount = 1 << 16
    /// How many datagrams are taken before others get their turn.
    static let receiveBatchLimit = 64
    /// How much may wait in the system, which may give less; a burst of gossip should fit.
    static let systemBufferByteCount: Int32 = 1 << 20
}
