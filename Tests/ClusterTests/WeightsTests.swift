import Foundation
import GGUF
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

        /// A worker that has the model's file itself is sent next to nothing, also on the first
        /// launch, and right after it has started.
        @Test func `what lies in a worker's own files does not travel on the first launch`()
            async throws
        {
            try await withCluster { cluster in
                let master = cluster.add()
                try await cluster.agree()
                // Beside a model with tensors of the same names and sizes.
                let models = master.folder + "-models"
                let other = try await Built.run(
                    ["model", "tiny", "\(models)/other.gguf", "--seed", "9"]
                )
                #expect(other.exit.isSuccess)
                try FileManager.default.copyItem(
                    atPath: "\(try await TestModels.folder)/\(TestModels.tiny)",
                    toPath: models + "/own.gguf"
                )
                let owner = cluster.add(arguments: ["--models", models])
                let stranger = cluster.add(arguments: ["--models", "/nowhere"])
                let roles = try cluster.roles(try await cluster.agree())
                #expect(roles.master === master)
                let loaded = try await launch(cluster, master, workers: 2)
                let own = try await node(owner)
                #expect(loaded.sent[own] == 0, "\(loaded)")
                #expect(loaded.sent[try await node(stranger)] ?? 0 > 1_000_000, "\(loaded)")
                // Small tensors have no names and travel each time: count everything.
                let transfer = try #require(
                    try await owner.status().model?.transfers?.first { $0.node == own }
                )
                #expect(transfer.sent * 50 < transfer.loaded, "\(transfer)")
                try await wait("it is counted", within: .seconds(10)) {
                    try await cache(owner).counts.copyHits > 5
                }
                #expect(try await cache(owner).entries == 0)
                let text = try await Asking.greedy(master.client)
                try await stop(master)
                _ = try await launch(cluster, master, workers: 2)
                #expect(try await Asking.greedy(master.client) == text)
            }
        }

        @Test func `with another split the same workers are sent the layers that are new to them`()
            async throws
        {
            try await withCluster { cluster in
                let (master, workers) = try await form(cluster)
                _ = try await launch(cluster, master, workers: 2)
                let before = try #require(try await master.status().model)
                let text = try await Asking.greedy(master.client)
                try await stop(master)

                // One of them offers less from now on.
                workers[0].terminate()
                _ = try await workers[0].running?.end()
                workers[0].start(["--memory", "600MiB"])
                try await cluster.agree()
                _ = try await launch(cluster, master, workers: 2)
                try await wait("all weights are there", within: .seconds(10)) {
                    let transfers = try await master.status().model?.transfers ?? []
                    return transfers.count == 2 && transfers.allSatisfy { $0.loaded == $0.total }
                }
                let after = try #require(try await master.status().model)
                let sizes = try layerSizes("\(try await TestModels.folder)/\(TestModels.tiny)")
                var (new, sent): (UInt64, UInt64) = (0, 0)
                for transfer in after.transfers ?? [] {
                    func layers(_ model: ClusterStatus.Model) -> Set<Int> {
                        Set(
                            model.layers.filter { $0.node == transfer.node }
                                .flatMap { $0.first..<$0.end }
                        )
                    }
                    let fresh = layers(after).subtracting(layers(before))
                    let bytes = fresh.reduce(UInt64(0)) { $0 + sizes[$1] }
                    print("measured: \(transfer.sent) sent of \(transfer.loaded), new \(bytes)")
                    #expect(transfer.sent <= bytes + transfer.loaded / 50, "\(transfer)")
                    (new, sent) = (new + bytes, sent + transfer.sent)
                }
                // It is another split, and not without any news.
                #expect(after.layers.map(\.first) != before.layers.map(\.first))
                #expect(new > 0 && sent > new / 2, "\(sent) sent, \(new) new")
                #expect(try await Asking.greedy(master.client) == text)
            }
        }

        /// How large each layer is, the output layer as the last.
        private func layerSizes(_ path: String) throws -> [UInt64] {
            let data = [UInt8](try Data(contentsOf: URL(filePath: path)))
            let header = try GGUFReader().readHeader(byteCount: UInt64(data.count)) {
                offset,
                count in
                Array(data[Int(offset)..<min(data.count, Int(offset) + count)])
            }
            return (0...TestModels.layerCount).map { layer in
                let prefix = layer == TestModels.layerCount ? "output" : "blk.\(layer)."
                return header.tensors.filter { $0.name.hasPrefix(prefix) }
                    .reduce(0) { $0 + $1.byteCount }
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
