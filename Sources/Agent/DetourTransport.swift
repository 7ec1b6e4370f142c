import EventLoop
import Primitives
import Runtime
import Wire

/// Sends what is for an agent to where it is reached, which may be another place than it tells.
///
/// Above the seals and below the actors, who know agents by what they tell.
actor DetourTransport: DatagramTransport, StreamTransport {
    private nonisolated let loop: any AgentLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.executor }

    private nonisolated let datagrams: any DatagramTransport
    private nonisolated let streams: any StreamTransport
    private var detours = Detours()
    private var receiver: (any DatagramReceiver)?
    private var told: (@Sendable (NodeID) -> Endpoint?)?

    init(
        on loop: any AgentLoop,
        datagrams: any DatagramTransport,
        streams: any StreamTransport
    ) {
        self.loop = loop
        self.datagrams = datagrams
        self.streams = streams
    }

    /// Called on the loop, as is everything here.
    ///
    /// - Parameters:
    ///   - receiver: who gets the datagrams that this one is given.
    ///   - told: where a member says that it is.
    func begin(
        _ receiver: any DatagramReceiver,
        told: @escaping @Sendable (NodeID) -> Endpoint?
    ) {
        self.receiver = receiver
        self.told = told
    }

    /// A beacon of an agent that says that it is at one endpoint came from an address.
    func noteBeacon(_ endpoint: Endpoint, from address: IPAddress) {
        detours.seen(endpoint, at: Endpoint(address: address, port: endpoint.port), loop.now)
    }

    /// Where streams to an agent are dialled, for whoever does not use this transport.
    nonisolated func dialPlace(of endpoint: Endpoint) -> Endpoint {
        assumeIsolated { $0.detours.dialPlace(of: endpoint, $0.loop.now) }
    }

    /// The place that is used for an agent instead of the one that it tells.
    func detour(to endpoint: Endpoint) -> Endpoint? { detours.detour(to: endpoint, loop.now) }

    // MARK: - Datagrams

    nonisolated func send(_ bytes: Span<UInt8>, to destination: Endpoint) {
        assumeIsolated { $0.transmit(bytes, to: destination) }
    }

    private func transmit(_ bytes: Span<UInt8>, to destination: Endpoint) {
        guard !detours.isEmpty else { return datagrams.send(bytes, to: destination) }
        for place in detours.places(of: destination, loop.now) { datagrams.send(bytes, to: place) }
    }

    // MARK: - Streams

    nonisolated func connect(
        to destination: Endpoint,
        timeout: Duration,
        onEvent: @escaping @Sendable (StreamEvent) -> Void
    ) -> any StreamConnection {
        let place = dialPlace(of: destination)
        let dialling = Dialling()
        return streams.connect(to: place, timeout: timeout) { [self] event in
            if let stood = dialling.outcome(event) {
                assumeIsolated {
                    $0.detours.dialled(destination, at: place, stood: stood, $0.loop.now)
                }
            }
            onEvent(event)
        }
    }

    nonisolated func splice(
        _ connection: any StreamConnection,
        first: [UInt8],
        to local: Endpoint,
        under ballot: Ballot?,
        with features: ServiceFeatures
    ) {
        streams.splice(connection, first: first, to: local, under: ballot, with: features)
    }

    nonisolated var spliceFeatures: ServiceFeatures { streams.spliceFeatures }

    nonisolated func endSplices(before ballot: Ballot) { streams.endSplices(before: ballot) }

    nonisolated func endSplices(with member: NodeID) { streams.endSplices(with: member) }
}

extension DetourTransport: DatagramReceiver {
    nonisolated func receive(_ bytes: Span<UInt8>, from source: Endpoint) {
        let receiver = assumeIsolated { transport in
            transport.note(bytes, from: source)
            return transport.receiver
        }
        receiver?.receive(bytes, from: source)
    }

    nonisolated func refused(by destination: Endpoint) {
        let (receiver, owner) = assumeIsolated {
            ($0.receiver, $0.detours.owner(of: destination))
        }
        receiver?.refused(by: owner)
    }

    private func note(_ bytes: Span<UInt8>, from source: Endpoint) {
        let now = loop.now
        if !detours.isEmpty, detours.heard(from: source, now) { return }
        var offset = 0
        guard let header = try? WireHeader(decoding: bytes, at: &offset),
            let endpoint = told?(header.sender), endpoint.address != source.address
        else { return }
        detours.seen(endpoint, at: source, now)
    }
}

/// Hears how dialling ended, once; used on the loop only.
private final class Dialling: @unchecked Sendable {
    private var isOver = false

    /// Whether the stream stands; nil for everything else.
    func outcome(_ event: StreamEvent) -> Bool? {
        guard !isOver else { return nil }
        isOver = true
        switch event {
        case .opened: return true
        case .closed(let closure): return closure.isNoWay ? false : nil
        case .received: return nil
        }
    }
}
