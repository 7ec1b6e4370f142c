package import EventLoop
package import Primitives

/// Opens TCP streams from an agent's own address, and passes them on to local servers.
package final class SocketStreamTransport: StreamTransport {
    private let loop: PollLoop
    private let source: IPAddress?
    private let relay: Relay
    private let filters: SpliceFilters
    private let scopes: LinkScopes

    /// Makes a transport.
    ///
    /// `source` is the address from which streams to the same family come; nil lets the system
    /// choose. The relay belongs to whoever made it.
    package init(
        on loop: PollLoop,
        source: IPAddress? = nil,
        relay: Relay,
        filters: SpliceFilters = SpliceFilters(),
        scopes: LinkScopes = LinkScopes()
    ) {
        self.loop = loop
        self.source = source
        self.relay = relay
        self.filters = filters
        self.scopes = scopes
    }

    package var spliceFeatures: ServiceFeatures { filters.features }

    package func connect(
        to destination: Endpoint,
        timeout: Duration,
        onEvent: @escaping @Sendable (StreamEvent) -> Void
    ) -> any StreamConnection {
        do throws(SocketError) {
            let socket = try Socket.make(.streams, for: destination.address)
            let stream = SocketStream(socket, peer: destination, state: .connecting, on: loop)
            stream.assumeIsolated {
                $0.connect(
                    to: scopes.place(of: destination, at: loop.now),
                    from: source,
                    timeout: timeout,
                    onEvent: onEvent
                )
            }
            return stream
        } catch {
            let socket = Socket(owning: -1)
            let stream = SocketStream(socket, peer: destination, state: .connecting, on: loop)
            let closure = StreamClosure.failed(errno: error.errno)
            stream.assumeIsolated { $0.fail(closure, onEvent: onEvent) }
            return stream
        }
    }

    package func splice(
        _ connection: any StreamConnection,
        first: [UInt8],
        to local: Endpoint,
        under ballot: Ballot?,
        with features: ServiceFeatures
    ) {
        guard let stream = connection as? SocketStream else {
            preconditionFailure("only streams of this transport can be spliced")
        }
        // A stream that has ended meanwhile says so itself.
        guard let detached = stream.detach() else { return }
        let options = RelayOptions(
            tag: RelayTag(ballot: ballot),
            makeFilter: filters.maker(for: local, with: features)
        )
        relay.splice(detached, first: first, to: local, options: options)
    }

    package func endSplices(before ballot: Ballot) {
        relay.end { tag in
            tag.ballot.map { $0 < ballot && $0.node != ballot.node } ?? false
        }
    }

    package func endSplices(with member: NodeID) {
        relay.end { $0.node == member }
    }
}
