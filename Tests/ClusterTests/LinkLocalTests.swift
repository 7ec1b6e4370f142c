import Foundation
import Gateway
import Namespaces
import Primitives
import Processes
import Testing

extension ClusterTests {
    /// Networks that give no addresses: devices have those that they give themselves.
    @Suite(.needsNamespaces) struct LinkLocal {
        private func withoutIPv4(_ node: Int, _ network: NamespaceNetwork) async throws {
            try await network.run("ip -4 addr flush dev eth0", on: node)
        }

        private func linkLocalAddress(
            _ node: Int,
            _ network: NamespaceNetwork
        ) async throws -> String {
            let text = try await network.run("ip -6 -o addr show dev eth0 scope link", on: node)
            let found = text.split { $0.isWhitespace }.first { $0.hasPrefix("fe80:") }
            return String(try #require(found).prefix { $0 != "/" })
        }

        @Test(.needsEngine, arguments: [false, true])
        func `devices with nothing but link-local addresses become one cluster that runs a model`(
            isOpen: Bool
        ) async throws {
            let engine = try await TestEngine.folder
            let models = try await TestModels.folder
            try await withNamespaces(2, engine: engine, models: models) { cluster in
                let network = cluster.network
                for node in 0..<2 { try await withoutIPv4(node, network) }
                let agents = (0..<2).map { _ in
                    cluster.add(discovers: true, isStranger: isOpen, at: .inside())
                }
                let status = try await measured("two agents find each other over IPv6") {
                    try await cluster.agree()
                }
                var addresses: Set<String> = []
                for node in 0..<2 {
                    addresses.insert("[\(try await linkLocalAddress(node, network))]:52414")
                }
                #expect(Set(status.members.map(\.address)) == addresses)
                try await cluster.launch(TestModels.tiny, through: agents[0])
                for agent in agents {
                    let chat = cluster.streamedChat(agent, maxTokens: 8)
                    #expect(try await chat.end().isSuccess)
                    #expect(chat.lines.contains { $0.contains("[DONE]") }, "\(chat.lines)")
                    let doctor = try await agent.asked(["doctor", "network"])
                    #expect(doctor.exit.isSuccess, "\(doctor.standardOutput)")
                    #expect(doctor.standardOutput.contains("Nothing is wrong"))
                }
                let model = try #require(try await agents[0].status().model)
                #expect(model.layers.count == 1)
                // llama.cpp's RPC cannot be reached over IPv6: an agent opens the way to it.
                #expect(agents.contains { $0.log.contains { $0.id == "engine.rpc.accepted" } })
            }
        }

        /// What a device does not let in from another one.
        private func refuse(
            _ matches: [String],
            on node: Int,
            _ network: NamespaceNetwork
        ) async throws {
            let rules = matches.map { "nft add rule inet refusal input \($0) counter drop" }
            try await network.run(
                """
                nft add table inet refusal
                nft add chain inet refusal input \
                    '{ type filter hook input priority 0; policy accept; }'
                \(rules.joined(separator: "\n"))
                """,
                on: node
            )
        }

        @Test(arguments: ["IPv4", "IPv6"])
        func `two devices between which one family does not work meet by the other one`(
            broken: String
        ) async throws {
            try await withNamespaces(3) { cluster in
                let network = cluster.network
                for (node, other) in [(0, 1), (1, 0)] {
                    let source =
                        broken == "IPv4"
                        ? "ip saddr \(network.address(of: other))"
                        : "ip6 saddr \(try await linkLocalAddress(other, network))"
                    try await refuse([source], on: node, network)
                }
                let agents = (0..<3).map { _ in cluster.add(discovers: true, at: .inside()) }
                let status = try await measured("three agree, two of them without \(broken)") {
                    try await cluster.agree()
                }
                // What others are told is what all reach.
                #expect(status.members.allSatisfy { $0.address.hasPrefix("10.77.0.") })
                let detour = "n2 says that it is at 10.77.0.2:52414"
                try await wait("the ways were tried", within: .seconds(30)) {
                    let doctor = try await agents[0].asked(["doctor", "network"])
                    return doctor.exit.isSuccess
                        && doctor.standardOutput.contains("10.77.0.2:52414  works      works")
                        && doctor.standardOutput.contains(detour) == (broken == "IPv4")
                }
                // Whoever heard a device's beacon over IPv6 first takes that way until it hears the
                // device at the address that it says.
                try await wait("the third reaches both where they say", within: .seconds(30)) {
                    let third = try await agents[2].asked(["doctor", "network"])
                    return third.exit.isSuccess
                        && !third.standardOutput.contains("it is reached at")
                }
                #expect(try await agents[0].status().ballot == status.ballot)
            }
        }

        @Test func `a seed is named by its link-local address, with the zone or without`()
            async throws
        {
            try await withNamespaces(3) { cluster in
                let network = cluster.network
                for node in 0..<3 { try await withoutIPv4(node, network) }
                let own = try await linkLocalAddress(0, network)
                // Another link of the device, which a seed without a zone may be on as well.
                for node in 1..<3 {
                    try await network.run(
                        """
                        ip link add wlan0 type veth peer name elsewhere
                        ip link set elsewhere up
                        ip link set wlan0 up
                        """,
                        on: node
                    )
                }
                cluster.add(discovers: false, at: .inside(bind: "\(own)%eth0"))
                for seed in ["[\(own)%eth0]:52414", "[\(own)]:52414"] {
                    cluster.add(
                        discovers: false,
                        at: .inside(),
                        arguments: ["--seed", seed]
                    )
                }
                let status = try await cluster.agree()
                #expect(status.members.contains { $0.address == "[\(own)]:52414" })
            }
        }
    }
}
