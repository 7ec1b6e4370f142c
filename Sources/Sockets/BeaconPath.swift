package import Primitives

/// One way for a beacon to leave this machine: an interface, an address of it, and a group.
package struct BeaconPath: Hashable, Sendable {
    package let interface: UInt32
    package let source: IPAddress
    package let destination: Endpoint
}

/// Where beacons go.
package enum Beacons {
    /// Free for private use within one site (RFC 2365).
    static let groupV4 = IPAddress.v4(0xEFFF_CA7A)
    /// On one link, and not assigned by anybody (RFC 4291 §2.7: flag T, scope 2).
    static let groupV6Bits: UInt128 = 0xFF12_0000_0000_0000_0000_0000_CA7A_CA7A
    /// A beacon that is larger could be cut on its way.
    package static let byteLimit = 1200

    /// The ways that fit an agent bound to an address.
    ///
    /// An agent on one address uses the interface that has it, and no other; one on a loopback
    /// address, of which systems list only the first, never leaves the machine. One on all
    /// addresses uses every interface that is up, and the loopback interface only when there is
    /// no other: its address means nothing elsewhere. `0.0.0.0` means IPv4, `::` means both.
    static func paths(
        for agent: IPAddress,
        port: UInt16,
        among addresses: [InterfaceAddress]
    ) -> [BeaconPath] {
        let usable = addresses.filter { $0.isUp && speaks(agent, $0.address) }
        if !agent.isUnspecified {
            guard
                let own = usable.first(where: { $0.address == agent })
                    ?? usable.first(where: { $0.isLoopback && agent.isLoopback })
            else { return [] }
            return paths(over: own, from: agent, port)
        }
        let outside = usable.filter { !$0.isLoopback }
        let chosen = outside.isEmpty ? usable : outside
        return chosen.flatMap { paths(over: $0, from: $0.address, port) }
    }

    private static func speaks(_ agent: IPAddress, _ address: IPAddress) -> Bool {
        switch (agent, address) {
        case (.v4, .v4), (.v6, .v6): true
        case (.v6, .v4): agent.isUnspecified
        case (.v4, .v6): false
        }
    }

    private static func paths(
        over way: InterfaceAddress,
        from source: IPAddress,
        _ port: UInt16
    ) -> [BeaconPath] {
        func path(_ destination: IPAddress) -> BeaconPath {
            BeaconPath(
                interface: way.index,
                source: source,
                destination: Endpoint(address: destination, port: port)
            )
        }
        switch source {
        case .v4:
            // Linux does not call its loopback interface able to multicast. For IPv4 it is; for
            // IPv6 there is no route, and agents on `::1` must be told of each other.
            let canMulticast = way.supportsMulticast || way.isLoopback
            var found = canMulticast ? [path(groupV4)] : []
            if let broadcast = way.broadcast, !way.isLoopback { found.append(path(broadcast)) }
            return found
        case .v6:
            // One path an interface: every one that speaks IPv6 has a link-local address.
            guard way.supportsMulticast, source.isLinkLocal || source.isLoopback else { return [] }
            return [path(.v6(groupV6Bits, scope: way.index))]
        }
    }
}
