import Foundation
import Gateway
import Namespaces
import Processes
import Testing

extension ClusterTests {
    /// What the relay between llama-server and the workers' RPC servers does when one hangs.
    @Suite(.needsEngine) struct Relays {
        @Test func `a stopped rpc-server is given up in the middle of an answer within 3 s`()
            async throws
        {
            try await withCluster { cluster in
                let (master, workers) = try await cluster.form(3)
                try await cluster.launch(through: master, context: 16_384)
                let server = try #require(workers[0].rpcServers.first)
                let chat = try Asking.stream(master.client, maxTokens: 16_000)
                var stopped: ContinuousClock.Instant?
                var count = 0
                do {
                    for try await _ in chat {
                        count += 1
                        guard count == 8 else { continue }
                        stopped = .now
                        kill(server.pid, SIGSTOP)
                        try await begunAnew(master, within: .seconds(3))
                        report("a stopped rpc-server is given up", .now - (stopped ?? .now))
                    }
                } catch let problem as Problem {
                    throw problem
                } catch {
                    // The answer breaks off: that is what is wanted.
                }
                #expect(count >= 8, "the answer ended after \(count) tokens")
                #expect(workers[0].log.contains { $0.id == "worker.rpc.stalled" })
                try await cluster.answers(workers[1])
                report("a chat works after an rpc-server was stopped", .now - (stopped ?? .now))
            }
        }

        /// The master has said that it places the model anew.
        private func begunAnew(_ master: TestAgent, within limit: Duration) async throws {
            try await wait(
                "the model is placed anew",
                within: limit,
                every: .milliseconds(20)
            ) {
                master.log.contains { $0.id == "placement.replacing" }
            }
        }
    }

    /// The same where a machine vanishes.
    @Suite(.needsEngine, .needsNamespaces) struct VanishedWorkers {
        @Test func `a link that is cut silently in the middle of an answer is noticed in time`()
            async throws
        {
            let engine = try await TestEngine.folder
            let models = try await TestModels.folder
            try await withNamespaces(3, engine: engine, models: models) { cluster in
                let first = cluster.add(discovers: false)
                for _ in 0..<2 { cluster.add(seeds: [first], discovers: false) }
                let status = try await cluster.agree()
                let name = status.members.first { $0.id == status.master }?.name
                let master = try #require(cluster.agents.first { $0.name == name })
                let worker = try #require(cluster.agents.first { $0.name != name })
                try await cluster.launch(TestModels.tiny, through: master)
                let chat = cluster.streamedChat(master, maxTokens: 16_000)
                defer { chat.signal(.kill) }
                try await wait("tokens come") { chat.lines.count > 20 }
                let node = try #require(cluster.agents.firstIndex { $0 === worker })
                let servers = master.llamaServers.map(\.pid)
                #expect(servers.count == 1)
                let cut = ContinuousClock.now
                try await cluster.network.setPlugged(false, node: node)
                // As long as membership needs for a host that vanishes, and no longer.
                try await wait(
                    "the model is placed anew",
                    within: .seconds(6),
                    every: .milliseconds(20)
                ) {
                    master.log.contains { $0.id == "placement.replacing" }
                }
                report("a worker whose link was cut is given up", .now - cut)
                let ended = ContinuousClock.now
                try await wait(
                    "the llama-server that waited for it is gone",
                    within: .seconds(1),
                    every: .milliseconds(10)
                ) {
                    !servers.contains(where: ProcessTable.isRunning)
                }
                report("and its llama-server is gone", .now - ended)
            }
        }
    }
}
