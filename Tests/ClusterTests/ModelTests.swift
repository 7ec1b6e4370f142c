import Foundation
import Gateway
import Primitives
import Processes
import Testing

extension ClusterTests {
    @Suite(.needsEngine) struct Model {
        @Test func `a model launched through a worker's agent answers through every agent`()
            async throws
        {
            try await withCluster { cluster in
                let (_, workers) = try await cluster.form(3)
                for agent in cluster.agents { try await expectNoModel(agent) }
                try await measured("a model is ready on two workers") {
                    try await cluster.launch(through: workers[0])
                }
                for agent in cluster.agents {
                    try await cluster.ready(agent)
                    let stream = try await Asking.streamedChat(agent.client)
                    #expect(stream.isDone)
                    #expect(stream.pieces.count > 3, "not streamed: \(stream.pieces)")
                    let whole = try await Asking.chat(agent.client)
                    #expect(!whole.isEmpty)
                    #expect(stream.pieces.joined() == whole)
                    #expect(try await agent.client.get("/health").status == 200)
                    #expect(try await modelNames(agent) == [TestModels.tiny])
                    try expectWholeModel(try await agent.status(), workerCount: 2)
                }
            }
        }

        private func expectNoModel(_ agent: TestAgent) async throws {
            let answer = try await agent.client.post(
                "/v1/chat/completions",
                json: try Asking.body("Hello", maxTokens: 4, stream: true)
            )
            #expect(answer.status == 503)
            #expect(answer.headers["retry-after"].flatMap { Int($0) } ?? 0 > 0)
            let error = try JSONDecoder().decode(
                Asking.ErrorAnswer.self,
                from: Data(answer.body)
            ).error
            #expect(error.type == "service_unavailable")
            #expect(error.code == "no_model")
            #expect(!error.message.isEmpty)
            #expect(try await agent.client.get("/health").status == 503)
            #expect(try await modelNames(agent).isEmpty)
        }

        private func modelNames(_ agent: TestAgent) async throws -> [String] {
            struct List: Decodable {
                struct Model: Decodable { var id: String }
                var data: [Model]
            }
            let body = try await agent.client.get("/v1/models").body
            return try JSONDecoder().decode(List.self, from: Data(body)).data.map(\.id)
        }

        /// Every layer is on one device, and llama-server told how much is on each.
        private func expectWholeModel(_ status: ClusterStatus, workerCount: Int) throws {
            let model = try #require(status.model)
            let layers = model.layers.sorted { $0.first < $1.first }
            #expect(layers.count == workerCount)
            #expect(layers.first?.first == 0)
            #expect(layers.last?.end == TestModels.layerCount + 1)
            for (before, after) in zip(layers, layers.dropFirst()) {
                #expect(before.end == after.first)
            }
            for part in layers {
                #expect(part.first < part.end)
                #expect(part.node != status.master)
                #expect(part.modelBytes ?? 0 > 0, "\(part.name) has no size")
            }
        }

        @Test func `greedy decoding gives the same text alone and through every kind of cluster`()
            async throws
        {
            try await withCluster { cluster in
                let alone = try await aloneServerText()
                #expect(!alone.isEmpty)
                for count in 1...3 {
                    let newest = cluster.add()
                    try await cluster.agree()
                    let model = try await cluster.launch(through: newest)
                    let devices = model.layers.map(\.device).sorted()
                    #expect(devices == [["CPU"], ["RPC0"], ["RPC0", "RPC1"]][count - 1])
                    let text = try await Asking.greedy(newest.client)
                    #expect(text == alone, "with \(count - 1) workers")
                }
            }
        }

        /// What a llama-server says that no agent has anything to do with.
        private func aloneServerText() async throws -> String {
            let address = IPAddress.v4(Loopback.network() | 1)
            let model = try await TestModels.folder + "/" + TestModels.tiny
            let command = try await TestEngine.serverCommand([
                "-m", model, "--host", "\(address)", "--port", "8080", "-c", "4096",
            ])
            let server = RunningProgram(command)
            defer { server.signal(.kill) }
            let client = GatewayClient(endpoint: Endpoint(address: address, port: 8080))
            try await wait("a lone llama-server is ready") {
                try await client.get("/health").status == 200
            }
            let text = try await Asking.greedy(client)
            server.signal(.kill)
            _ = try await server.end()
            return text
        }

        @Test func `a client that goes away in the middle of a stream frees llama-server`()
            async throws
        {
            try await withCluster { cluster in
                let (master, workers) = try await cluster.form(2)
                try await cluster.launch(through: master, context: 16_384)
                for agent in [master, workers[0]] {
                    try await cluster.ready(agent)
                    for try await event in try Asking.stream(agent.client, maxTokens: 16_000) {
                        #expect(!event.data.isEmpty)
                        #expect(try await Asking.busySlots(master.llama) == 1)
                        break
                    }
                    let left = ContinuousClock.now
                    try await wait(
                        "llama-server is idle",
                        within: .seconds(2),
                        every: .milliseconds(20)
                    ) {
                        try await Asking.busySlots(master.llama) == 0
                    }
                    report("a slot is free after its client left", ContinuousClock.now - left)
                }
            }
        }
    }
}
