import Foundation
import Gateway
import Primitives
import Processes
import Testing

extension ClusterTests {
    /// Weights travel once.
    @Suite(.needsEngine) struct Weights {
        /// What `caravan cache --json` says.
        private struct Cache: Decodable {
            struct Counts: Decodable {
                var hits: Int
                var copyHits: Int
                var corrupt: Int
            }

            var path: String
            var entries: Int
            var bytes: Int
            var counts: Counts
            var copiedPieces: Int
        }

        private func cache(_ agent: TestAgent) async throws -> Cache {
            let output = try await Built.run(["cache", "--json", "--state", agent.folder])
            guard output.exit.isSuccess else { throw Problem(output.standardError) }
            return try JSONDecoder().decode(Cache.self, from: Data(output.standardOutput.utf8))
        }

        /// How the weights of a launch travelled, by the worker's node.
        private struct Loaded {
            var found: [String: Int] = [:]
            var sent: [String: Int] = [:]
        }

        /// Launches, and says what the master's log says of it once all workers have theirs.
        private func launch(
            _ cluster: TestCluster,
            _ master: TestAgent,
            workers: Int
        ) async throws -> Loaded {
            let before = master.log.filter { $0.id == "tensors.loaded" }.count
            try await cluster.launch(through: master)
            var loaded = Loaded()
            try await wait("the master says how the weights travelled", within: .seconds(20)) {
                let lines = master.log.filter { $0.id == "tensors.loaded" }.dropFirst(before)
                for line in lines {
                    let node = line.texts["node"] ?? ""
                    loaded.found[node] = line.integers["foundBytes"]
                    loaded.sent[node] = line.integers["sentBytes"]
                }
                return loaded.sent.count == workers
            }
            return loaded
        }

        private func stop(_ master: TestAgent) async throws {
            let answer = try await master.client.post("/api/v1/stop", json: Array("{}".utf8))
            #expect(answer.status < 300)
            try await wait("the workers have stopped", within: .seconds(20)) {
                master.llamaServers.isEmpty
            }
        }

        private func node(_ agent: TestAgent) async throws -> String {
            try await agent.status().`self`
        }

        /// A master with the model, and workers without.
        private func form(
            _ cluster: TestCluster
        ) async throws -> (master: TestAgent, workers: [TestAgent]) {
            let master = cluster.add()
            try await cluster.agree()
            let workers = (0..<2).map { _ in cluster.add(arguments: ["--models", "/nowhere"]) }
            let roles = try cluster.roles(try await cluster.agree())
            #expect(roles.master === master)
            return (master, workers)
        }

        @Test func `weights travel once, whatever the split, and damaged ones are sent again`()
            async throws
        {
            try await withCluster { cluster in
                let (master, workers) = try await form(cluster)
                let first = try await launch(cluster, master, workers: 2)
                let all = first.sent.values.reduce(0, +) + first.found.values.reduce(0, +)
                // Random models have rows of zeros in common.
                #expect(first.sent.values.reduce(0, +) > all / 2)
                for agent in [master] + workers { try await expectAllLoaded(first, at: agent) }
                let text = try await Asking.greedy(master.client)
                let kept = try await cache(workers[0])
                #expect(kept.entries > 10)

                // What users say is not kept.
                for _ in 0..<3 { try await cluster.answers(master) }
                #expect(try await cache(workers[0]).entries == kept.entries)

                try await stop(master)
                let second = try await launch(cluster, master, workers: 2)
                #expect(second.sent.values.allSatisfy { $0 == 0 }, "\(second)")
                #expect(second.found.values.reduce(0, +) == all)
                try await expectAllLoaded(second, at: workers[1])
                #expect(try await Asking.greedy(master.client) == text)

                try await stop(master)
                try damage(kept.path)
                let third = try await launch(cluster, master, workers: 2)
                let damaged = try await node(workers[0])
                #expect(third.sent[damaged] ?? 0 > 0)
                #expect(try await Asking.greedy(master.client) == text)
                try await wait("the damage is counted", within: .seconds(10)) {
                    try await cache(workers[0]).counts.corrupt >= 5
                }
                #expect(workers[0].log.contains { $0.id == "tensors.damaged" })
                try await stop(master)

                // A worker that has the file itself is sent nothing; the others what is new to
                // them, and with a worker more they have less to do.
                let owner = cluster.add()
                try await cluster.agree()
                try await wait("its model is known", within: .seconds(40)) {
                    try await cache(owner).copiedPieces > 10
                }
                let fourth = try await launch(cluster, master, workers: 3)
                #expect(fourth.sent[try await node(owner)] == 0, "\(fourth)")
                let new = fourth.sent.values.reduce(0, +)
                #expect(new < all / 2, "\(new) of \(all)")
                #expect(try await Asking.greedy(master.client) == text)
                try await stop(master)

                let cleared = try await Built.run(
                    ["cache", "clear", "--state", workers[0].folder]
                )
                #expect(cleared.exit.isSuccess, "\(cleared)")
                #expect(try await cache(workers[0]).entries == 0)
                let fifth = try await launch(cluster, master, workers: 3)
                #expect(fifth.sent[damaged] ?? 0 > 0)
                #expect(try await Asking.greedy(master.client) == text)
            }
        }

        /// Every member tells how the weights of each worker have travelled.
        private func expectAllLoaded(_ loaded: Loaded, at agent: TestAgent) async throws {
            try await wait("\(agent.name) knows that all weights are there", within: .seconds(10)) {
                let model = try await agent.status().model
                return model?.transfers?.count == loaded.sent.count
                    && model?.transfers?.allSatisfy { transfer in
                        // Small tensors have no names and travel each time.
                        let sent = UInt64(loaded.sent[transfer.node] ?? .max)
                        return transfer.loaded == transfer.total && transfer.perSecond == 0
                            && sent <= transfer.sent && transfer.sent < sent + 100_000
                    } == true
            }
        }

        /// Flips a bit in some pieces, and empties others.
        private func damage(_ path: String) throws {
            let pieces = try #require(
                FileManager.default.enumerator(atPath: path + "/pieces")
            ).compactMap { $0 as? String }.filter { $0.contains("/") }.sorted()
            #expect(pieces.count > 10)
            for (number, piece) in pieces.prefix(5).enumerated() {
                let url = URL(filePath: path + "/pieces/" + piece)
                var data = try Data(contentsOf: url)
                data[data.count / 2] ^= 1
                try (number < 4 ? data : Data()).write(to: url)
            }
        }
    }
}
