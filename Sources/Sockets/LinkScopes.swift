package import Primitives
internal import Synchronization

/// On which of this machine's links the link-local IPv6 addresses of others are.
///
/// Such an address (`fe80::/10`) leads somewhere only together with the number of an interface,
/// its scope, which every machine counts for itself and which never travels. So above the sockets
/// these addresses have none, as others tell them; here it is remembered where each was heard.
package final class LinkScopes: Sendable {
    /// How many addresses are remembered; then all are forgotten, and heard again.
    static let addressLimit = 1024
    /// On so many links an address is looked for that was not heard yet.
    static let linkLimit = 8
    /// Interfaces come and go, and their numbers with them.
    private static let readInterval: Duration = .seconds(5)

    private struct State {
        var known: [IPv6Bits: UInt32] = [:]
        /// This machine's own addresses, one or more on each link.
        var own: [(bits: IPv6Bits, scope: UInt32)] = []
        var links: [UInt32] = []
        var lastRead: Instant?
        /// Streams take one link at a time.
        var turn = 0
    }

    private let state = Mutex(State())
    private let interfaces: @Sendable () -> [InterfaceAddress]

    /// - Parameter interfaces: where this machine's addresses come from.
    package init(
        interfaces: @escaping @Sendable () -> [InterfaceAddress] = {
            (try? Interfaces.addresses()) ?? []
        }
    ) {
        self.interfaces = interfaces
    }

    /// The endpoint as it is known above the sockets; where it was heard is remembered.
    package func heard(_ endpoint: Endpoint) -> Endpoint {
        guard case .v6(let bits, let scope) = endpoint.address, scope != 0 else { return endpoint }
        state.withLock { state in
            if state.known.count >= Self.addressLimit, state.known[bits] == nil {
                state.known = [:]
            }
            state.known[bits] = scope
        }
        return Endpoint(address: .v6(bits), port: endpoint.port)
    }

    /// Where datagrams for the endpoint go: over the link where it was heard, or over all if it
    /// was not heard on any.
    package func places(of endpoint: Endpoint, at now: Instant) -> [Endpoint] {
        guard endpoint.address.needsScope, case .v6(let bits, _) = endpoint.address else {
            return [endpoint]
        }
        return scopes(of: bits, at: now).map {
            Endpoint(address: .v6(bits, scope: $0), port: endpoint.port)
        }
    }

    /// Where a stream to the endpoint goes; to one that was not heard, over another link each
    /// time.
    package func place(of endpoint: Endpoint, at now: Instant) -> Endpoint {
        let places = places(of: endpoint, at: now)
        guard places.count > 1 else { return places.first ?? endpoint }
        let turn = state.withLock { state in
            state.turn += 1
            return state.turn
        }
        return places[turn % places.count]
    }

    private func scopes(of bits: IPv6Bits, at now: Instant) -> [UInt32] {
        state.withLock { state in
            if state.lastRead.map({ now - $0 >= Self.readInterval }) ?? true {
                state.lastRead = now
                read(&state)
            }
            if let own = state.own.first(where: { $0.bits == bits }) { return [own.scope] }
            guard let known = state.known[bits] else { return state.links }
            if state.links.contains(known) { return [known] }
            state.known[bits] = nil
            return state.links
        }
    }

    private func read(_ state: inout State) {
        state.own = []
        state.links = []
        for interface in interfaces() where interface.isUp && !interface.isLoopback {
            guard case .v6(let bits, _) = interface.address, interface.address.isLinkLocal else {
                continue
            }
            state.own.append((bits, interface.index))
            guard state.links.count < Self.linkLimit, !state.links.contains(interface.index)
            else { continue }
            state.links.append(interface.index)
        }
    }
}
