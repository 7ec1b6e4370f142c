import Foundation
import Gateway
import Namespaces
import Primitives
import Processes
import Testing

extension ClusterTests {
    /// Devices that open streams and let nobody open one to them.
    @Suite(.needsEngine, .needsNamespaces) struct Firewalls {
        /// What common firewalls do on laptops: what nobody here has asked for does not get in.
        private func closeDoor(of node: Int, _ cluster: NamespaceCluster) async throws {
            try await cluster.network.run(
                """
                nft add table inet firewall
                nft add chain inet firewall input \
                    '{ type filter hook input priority 0; policy accept; }'
                nft add rule inet firewall input \
                    tcp dport 52414 'tcp flags & (syn|ack) == syn' counter drop
                """,
                on: node
            )
        }

        /// How many streams the firewall has kept out.
        private func keptOut(of node: Int, _ cluster: NamespaceCluster) async throws -> Int {
            let text = try await cluster.network.run(
                "nft list chain inet firewall input | grep -o 'packets [0-9]*'",
                on: node
            )
            return try #require(Int(text.split { $0.isWhitespace }.last ?? ""))
        }

        @Test(arguments: [0, 1])
        func `a model runs on a worker, though the master or the worker cannot be dialled`(
            closed: Int
        ) async throws {
            let engine = try await TestEngine.folder
            let models = try await TestModels.folder
            try await withNamespaces(2, engine: engine, models: models) { cluster in
                try await closeDoor(of: closed, cluster)
                let master = cluster.add(discovers: true)
                try await cluster.agree()
                let worker = cluster.add(discovers: true)
                let status = try await cluster.agree()
                try #require(status.members.first { $0.id == status.master }?.name == master.name)
                try await cluster.launch(TestModels.tiny, through: worker)
                let model = try #require(try await master.status().model)
                #expect(model.layers.map(\.name) == [worker.name])
                for agent in [worker, master] {
                    let chat = cluster.streamedChat(agent, maxTokens: 8)
                    #expect(try await chat.end().isSuccess)
                    #expect(chat.lines.contains { $0.contains("[DONE]") }, "\(chat.lines)")
                }
                #expect(try await keptOut(of: closed, cluster) > 0)
                #expect(worker.log.contains { $0.id == "engine.rpc.accepted" })
            }
        }
    }
}
