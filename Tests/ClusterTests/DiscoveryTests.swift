import Gateway
import Namespaces
import Primitives
import Processes
import Testing

extension ClusterTests {
    /// Networks that change while agents run, which nobody tells of each other.
    @Suite(.needsNamespaces) struct Discoveries {
        /// Waits until all agree, and one member is at another address.
        private func expect(
            _ name: String,
            at address: String,
            in cluster: NamespaceCluster
        ) async throws {
            var status: ClusterStatus?
            try await wait(
                "\(name) is at \(address), as all say; \(status?.members.map(\.address) ?? [])",
                within: .seconds(45)
            ) {
                for agent in cluster.agents {
                    status = try await agent.status()
                    let member = status?.members.first { $0.name == name }
                    guard member?.address == address, member?.state == "alive" else {
                        return false
                    }
                }
                return true
            }
        }

        @Test func `a device that is switched on before its network is found once it has one`()
            async throws
        {
            try await withNamespaces(2) { cluster in
                let network = cluster.network
                try await network.run(
                    "ip addr flush dev eth0 scope global; ip link set eth0 down",
                    on: 1
                )
                cluster.add(discovers: true, at: .inside())
                cluster.add(discovers: true, at: .inside())
                try await wait("both run alone", within: .seconds(30)) {
                    for agent in cluster.agents {
                        guard try await agent.status().master != nil else { return false }
                    }
                    return true
                }
                try await network.run(
                    "ip link set eth0 up; ip addr add 10.77.0.2/24 brd + dev eth0",
                    on: 1
                )
                try await measured("it is found after its network came up") {
                    try await expect("n2", at: "10.77.0.2:52414", in: cluster)
                }
                try await cluster.agree()
            }
        }

        @Test func `a device is followed to another address and to another interface`()
            async throws
        {
            try await withNamespaces(3) { cluster in
                let network = cluster.network
                for _ in 0..<3 { cluster.add(discovers: true, at: .inside()) }
                try await cluster.agree()
                // The network's router gives it another address.
                try await network.run(
                    """
                    ip addr del 10.77.0.2/24 dev eth0
                    ip addr add 10.77.0.99/24 brd + dev eth0
                    """,
                    on: 1
                )
                try await measured("all know the new address") {
                    try await expect("n2", at: "10.77.0.99:52414", in: cluster)
                }
                try await cluster.agree()
                // An interface appears and takes over, as when a machine is bridged.
                try await network.run(
                    """
                    ip link add name bridge0 type bridge
                    ip link set bridge0 up
                    ip addr flush dev eth0
                    ip link set eth0 master bridge0
                    ip addr add 10.77.0.100/24 brd + dev bridge0
                    """,
                    on: 1
                )
                try await measured("all know the address of the new interface") {
                    try await expect("n2", at: "10.77.0.100:52414", in: cluster)
                }
                try await cluster.agree()
                // And it goes away again.
                try await network.run(
                    """
                    ip link del bridge0
                    ip addr add 10.77.0.101/24 brd + dev eth0
                    """,
                    on: 1
                )
                try await measured("all know the address of the old interface") {
                    try await expect("n2", at: "10.77.0.101:52414", in: cluster)
                }
                try await cluster.agree()
            }
        }

        @Test func `a device whose network gives no addresses any more goes on without`()
            async throws
        {
            try await withNamespaces(2) { cluster in
                for _ in 0..<2 { cluster.add(discovers: true, at: .inside()) }
                try await cluster.agree()
                for node in 0..<2 {
                    try await cluster.network.run("ip -4 addr flush dev eth0", on: node)
                }
                try await measured("both are reached by link-local addresses") {
                    try await wait("both say so", within: .seconds(45)) {
                        for agent in cluster.agents {
                            let members = try await agent.status().members
                            guard
                                members.filter({ $0.state == "alive" }).count == 2,
                                members.allSatisfy({ $0.address.hasPrefix("[fe80:") })
                            else { return false }
                        }
                        return true
                    }
                }
                try await cluster.agree()
            }
        }

        @Test func `sides that were apart find each other by beacons`() async throws {
            try await withNamespaces(4) { cluster in
                let network = cluster.network
                let agents = (0..<4).map { _ in cluster.add(discovers: true, at: .inside()) }
                try await cluster.agree()
                var rules = LinkRules()
                for (from, to) in [(0, 2), (0, 3), (1, 2), (1, 3)] {
                    rules.blocked.insert(DirectedLink(from: from, to: to))
                    rules.blocked.insert(DirectedLink(from: to, to: from))
                }
                try await network.apply(rules, after: LinkRules())
                try await measured("each side has a master of its own") {
                    try await cluster.agree([agents[0], agents[1]])
                    try await cluster.agree([agents[2], agents[3]])
                }
                try await network.apply(LinkRules(), after: rules)
                try await measured("the sides are one again") { try await cluster.agree() }
            }
        }
    }
}
