import EventLoop
import Primitives
import Sockets
import Synchronization

/// Which endpoints lead to this agent, as hellos name them.
final class OwnEndpoints: Sendable {
    /// An address may be new; how often that is looked up for whoever names unknown ones.
    private static let refreshInterval: Duration = .seconds(1)

    private struct Known {
        var addresses: Set<IPAddress> = []
        var asOf: Instant?
    }

    private let bind: IPAddress
    private let port: UInt16
    private let now: @Sendable () -> Instant
    private let list: @Sendable () -> [IPAddress]
    private let known = Mutex(Known())

    /// - Parameter list: this machine's addresses.
    init(
        bind: IPAddress,
        port: UInt16,
        now: @escaping @Sendable () -> Instant,
        list: @escaping @Sendable () -> [IPAddress] = {
            ((try? Interfaces.addresses()) ?? []).map(\.address)
        }
    ) {
        self.bind = bind
        self.port = port
        self.now = now
        self.list = list
    }

    /// - Parameter endpoint: its address has no scope.
    func contains(_ endpoint: Endpoint) -> Bool {
        guard endpoint.port == port else { return false }
        guard bind.isUnspecified else { return endpoint.address == bind.withoutScope }
        // Whoever names one of those is on this machine.
        if endpoint.address.isLoopback { return true }
        return known.withLock { known in
            if known.addresses.contains(endpoint.address) { return true }
            let now = now()
            if let asOf = known.asOf, now - asOf < Self.refreshInterval { return false }
            known = Known(addresses: Set(list().map(\.withoutScope)), asOf: now)
            return known.addresses.contains(endpoint.address)
        }
    }
}
