import EventLoop
import Primitives
import Sockets

// Streams that are dialled before anybody opens a service.
extension ServiceClient {
    /// A member closes a stream on which nothing is asked after 13 s.
    private static let spareLife: Duration = .seconds(6)

    /// Has so many streams to a member ready for a few seconds, for whoever opens services then.
    func dialAhead(_ count: Int, to node: NodeID, at endpoint: Endpoint) {
        // Who cannot be dialled is asked when it matters.
        guard dialBacks?.isBetter(node) != true else { return }
        while let spare = spares.add(count, to: node, at: endpoint) {
            let connection = agents.connect(to: endpoint, timeout: Self.timeout) {
                [self] event in assumeIsolated { $0.happened(event, to: spare) }
            }
            spares.dials(spare, connection)
            loop.schedule(after: Self.spareLife) { [self] in
                assumeIsolated { $0.drop(spare) }
            }
        }
    }

    private func happened(_ event: StreamEvent, to spare: SpareStreams.Spare) {
        if case .closed = event { _ = spares.remove(spare) }
        spare.handle(event)
    }

    private func drop(_ spare: SpareStreams.Spare) {
        if spares.remove(spare) { spare.connection?.close() }
    }

    func useSpare(_ id: UInt64, _ node: NodeID, _ endpoint: Endpoint) -> Bool {
        guard let spare = spares.take(to: node, at: endpoint), let connection = spare.connection
        else { return false }
        open[id]?.connections[.dialled] = connection
        let stands = spare.use { [self] event in
            assumeIsolated { $0.happened(event, id, .dialled, endpoint) }
        }
        if stands {
            open[id]?.spare = spare
            loop.execute { [self] in assumeIsolated { $0.opened(spare, id, endpoint) } }
        }
        return true
    }

    private func opened(_ spare: SpareStreams.Spare, _ id: UInt64, _ endpoint: Endpoint) {
        // It may have ended before it could be used.
        guard open[id]?.spare === spare else { return }
        happened(.opened, id, .dialled, endpoint)
    }

    /// Dials anew for an opening whose stream had stood for a while, and was dead by the time that
    /// it was needed.
    ///
    /// Nothing came over it, and all that was sent over it may be said twice: it asks for the
    /// service and what the service is. What people send goes out once the service is open.
    func redial(_ id: UInt64, _ endpoint: Endpoint) {
        guard let node = open[id]?.node else { return }
        open[id]?.spare = nil
        open[id]?.way = nil
        dial(agents, id, endpoint)
        askSoon(id, node, endpoint)
    }
}
