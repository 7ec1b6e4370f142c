import Foundation
import Gateway
import Namespaces
import Primitives
import Processes
import Testing

extension ClusterTests {
    /// What `caravan doctor network` and `caravan status` say of networks that keep devices apart.
    @Suite(.needsNamespaces) struct Doctor {
        /// As `doctor network --json` prints it.
        private struct Report: Decodable {
            var findings: [Finding]
        }

        private struct Finding: Decodable {
            var id: String
            var weight: String
            var what: String
            var why: String?
            var actions: [String]

            /// All that a person reads.
            var text: String { ([what, why ?? ""] + actions).joined(separator: "\n") }
        }

        private func findings(_ agent: TestAgent) async throws -> [Finding] {
            let output = try await agent.asked(["doctor", "network", "--json"])
            let report = try JSONDecoder().decode(
                Report.self,
                from: Data(output.standardOutput.utf8)
            )
            let problems = report.findings.contains { $0.weight == "problem" }
            #expect(output.exit == .exited(code: problems ? 1 : 0))
            return report.findings
        }

        /// Waits until an agent's doctor finds something, and looks whether it says so, and whether
        /// `caravan status` warns of it.
        private func expect(
            _ id: String,
            of agent: TestAgent,
            says words: [String],
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            var (all, found): ([Finding], [Finding]) = ([], [])
            try await wait(
                "\(agent.name)'s doctor finds \(id) and says \(words); it finds \(all.map(\.text))",
                within: .seconds(60),
                every: .seconds(1)
            ) {
                all = try await findings(agent)
                found = all.filter { finding in
                    finding.id == id && words.allSatisfy(finding.text.contains)
                }
                return !found.isEmpty
            }
            let finding = try #require(found.first, sourceLocation: sourceLocation)
            // What a person sees, and where people look first.
            let text = try await agent.asked(["doctor", "network"]).standardOutput
            #expect(text.contains("! \(finding.what)"), sourceLocation: sourceLocation)
            let warnings = try await agent.status().warnings
            #expect(
                warnings.contains { $0.hasPrefix(finding.what) },
                "\(warnings)",
                sourceLocation: sourceLocation
            )
        }

        /// Lets nothing in that matches.
        private func closeDoor(
            _ match: String,
            _ verdict: String = "drop",
            of node: Int,
            _ cluster: NamespaceCluster
        ) async throws {
            try await cluster.network.run(
                """
                nft add table inet firewall
                nft add chain inet firewall input \
                    '{ type filter hook input priority 0; policy accept; }'
                nft add rule inet firewall input \(match) counter \(verdict)
                """,
                on: node
            )
        }

        /// The network passes nothing that matches between the first two devices.
        private func dropBetweenFirstTwo(
            _ match: String,
            _ cluster: NamespaceCluster
        ) async throws {
            try await cluster.network.runInHub(
                """
                nft add table bridge isolation
                nft add chain bridge isolation forward \
                    '{ type filter hook forward priority 1; policy accept; }'
                nft add rule bridge isolation forward \
                    'meta iifname . meta oifname { "n1" . "n2", "n2" . "n1" }' \
                    '\(match)' counter drop
                """
            )
        }

        private func openDoors(of node: Int, _ cluster: NamespaceCluster) async throws {
            try await cluster.network.run("nft delete table inet firewall", on: node)
        }

        private func expectHealth(of agents: [TestAgent]) async throws {
            for agent in agents {
                var found: [Finding] = []
                try await wait(
                    "\(agent.name)'s doctor finds nothing; it finds \(found.map(\.text))",
                    within: .seconds(60),
                    every: .seconds(1)
                ) {
                    found = try await findings(agent)
                    return found.isEmpty
                }
            }
        }

        @Test func `an access point that keeps its devices apart`() async throws {
            try await withNamespaces(3) { cluster in
                // What is for all still passes, as it mostly does.
                try await dropBetweenFirstTwo(
                    "ether daddr & 01:00:00:00:00:00 == 00:00:00:00:00:00",
                    cluster
                )
                let agents = (0..<2).map { _ in cluster.add(discovers: true, at: .inside()) }
                for (agent, other) in [(agents[0], 1), (agents[1], 0)] {
                    try await expect(
                        "network.isolation",
                        of: agent,
                        says: [
                            "\(cluster.network.address(of: other))", "AP or client isolation",
                            "Switch isolation off at the access point",
                        ]
                    )
                }
                // A third, on a cable, is reached by both, and tells each of the other.
                cluster.add(discovers: true, at: .inside())
                for (agent, other) in [(agents[0], agents[1]), (agents[1], agents[0])] {
                    try await expect(
                        "peer.unreachable",
                        of: agent,
                        says: [
                            "\(other.name) (", "is alive, as other members say", "AP isolation",
                            "Put both on one network",
                        ]
                    )
                }
            }
        }

        @Test func `a link that passes one direction only`() async throws {
            try await withNamespaces(3) { cluster in
                var rules = LinkRules()
                rules.blocked = [DirectedLink(from: 0, to: 1)]
                try await cluster.network.apply(rules, after: LinkRules())
                let agents = (0..<3).map { _ in cluster.add(discovers: true, at: .inside()) }
                try await expect(
                    "peer.deaf",
                    of: agents[0],
                    says: [
                        "n2 (", "is heard here, but does not hear this device",
                        "one direction only", "On n2, let in UDP and TCP port 52414",
                    ]
                )
                try await expect(
                    "peer.unreachable",
                    of: agents[1],
                    says: ["n1 (", "cannot reach it at all", "On n1: caravan doctor network"]
                )
                try await expect(
                    "link.gap",
                    of: agents[2],
                    says: ["reaches", "neither by datagrams nor by streams"]
                )
                try await cluster.network.apply(LinkRules(), after: rules)
                try await expectHealth(of: agents)
            }
        }

        @Test func `an agent on the wrong interface`() async throws {
            try await withNamespaces(2) { cluster in
                try await cluster.network.run(
                    """
                    ip link add wg0 type veth peer name elsewhere
                    ip addr add 10.8.0.2/24 dev wg0
                    ip link set elsewhere up
                    ip link set wg0 up
                    """,
                    on: 0
                )
                let wrong = cluster.add(discovers: true, at: .inside(bind: "10.8.0.2"))
                let alone = cluster.add(discovers: true, at: .inside())
                try await expect(
                    "address.wrongInterface",
                    of: wrong,
                    says: [
                        "10.8.0.2 on wg0, a VPN", "eth0 is on a local network",
                        "Start it with --bind \(wrong.address)",
                    ]
                )
                try await expect(
                    "discovery.alone",
                    of: alone,
                    says: ["No other agent is heard", "--seed ADDRESS:52414"]
                )
            }
        }

        @Test func `a firewall that closes the UDP port`() async throws {
            try await withNamespaces(2) { cluster in
                try await closeDoor("udp dport 52414", of: 1, cluster)
                let agents = (0..<2).map { _ in cluster.add(discovers: true, at: .inside()) }
                try await expect(
                    "peer.datagrams",
                    of: agents[0],
                    says: [
                        "n2 (", "does not answer datagrams", "drops UDP port 52414",
                        "sudo ufw allow 52414/udp",
                    ]
                )
                try await expect("peer.datagrams", of: agents[1], says: ["n1 ("])
                try await openDoors(of: 1, cluster)
                try await expectHealth(of: agents)
            }
        }

        @Test func `a firewall that drops what comes to the TCP port`() async throws {
            try await withNamespaces(2) { cluster in
                try await closeDoor("tcp dport 52414 tcp flags syn", of: 1, cluster)
                let agents = (0..<2).map { _ in cluster.add(discovers: true, at: .inside()) }
                try await expect(
                    "peer.oneWay",
                    of: agents[0],
                    says: [
                        "n2 (", "can open streams to this device, but not the other way round",
                        "its firewall lets nothing in", "open port 52414 on n2",
                    ]
                )
                try await expect(
                    "link.gap",
                    of: agents[1],
                    says: ["n1 reaches n2 not by streams", "On n1: caravan doctor network"]
                )
                try await openDoors(of: 1, cluster)
                try await expectHealth(of: agents)
            }
        }

        @Test func `two devices between which streams get lost`() async throws {
            try await withNamespaces(3) { cluster in
                try await dropBetweenFirstTwo("meta l4proto tcp", cluster)
                let agents = (0..<3).map { _ in cluster.add(discovers: true, at: .inside()) }
                for (agent, other) in [(agents[0], "n2"), (agents[1], "n1")] {
                    try await expect(
                        "peer.streams",
                        of: agent,
                        says: [
                            "\(other) (", "answers datagrams", "drops TCP port 52414",
                            "On \(other): sudo ufw allow 52414/tcp",
                        ]
                    )
                }
            }
        }

        @Test func `a firewall that rejects what comes to the TCP port`() async throws {
            try await withNamespaces(2) { cluster in
                try await closeDoor("tcp dport 52414", "reject with tcp reset", of: 1, cluster)
                let agents = (0..<2).map { _ in cluster.add(discovers: true, at: .inside()) }
                try await expect(
                    "peer.streams",
                    of: agents[0],
                    says: ["n2 (", "its system refuses streams", "rejects TCP port 52414"]
                )
            }
        }

        @Test func `a firewall that keeps beacons out`() async throws {
            try await withNamespaces(2) { cluster in
                try await closeDoor("udp dport 52413", of: 0, cluster)
                let deaf = cluster.add(discovers: true, at: .inside())
                try await expect(
                    "discovery.deaf",
                    of: deaf,
                    says: ["not even its own", "UDP port 52413", "sudo ufw allow 52413/udp"]
                )
            }
        }
    }
}
