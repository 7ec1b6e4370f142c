import Gateway
import NIOCore
import Primitives
import Testing

extension ClusterTests {
    @Suite(.needsEngine) struct Abuse {
        @Test func `garbage on every port is refused, counted, said once, and changes nothing`()
            async throws
        {
            try await withCluster { cluster in
                let (master, workers) = try await cluster.form(3)
                try await cluster.launch(through: master)
                let ballot = try await master.status().ballot
                // What is needed once, such as buffers, is no growth.
                for agent in cluster.agents { try await abuse(agent, of: cluster, rounds: 1) }
                let memoryBefore = cluster.agents.map(memory)
                let linesBefore = cluster.agents.map { $0.log.count }

                try await measured("four rounds of garbage at three agents") {
                    for agent in cluster.agents { try await abuse(agent, of: cluster, rounds: 4) }
                }

                for (index, agent) in cluster.agents.enumerated() {
                    let growth = memory(agent) - memoryBefore[index]
                    report(agent, grewBy: growth)
                    #expect(growth < 8 << 20, "\(agent.name) grew by \(growth) bytes")
                    let lines = agent.log.dropFirst(linesBefore[index])
                    #expect(lines.count { $0.level == "warning" } < 40)
                    try await expectRefusals(agent)
                }
                let after = try await cluster.agree()
                #expect(after.ballot == ballot, "somebody else became master")
                for agent in [master] + workers { try await cluster.answers(agent) }
                // The RPC servers were in the line of fire too: a new launch needs them.
                try await cluster.launch(through: workers[0])
                try await cluster.answers(workers[1])
            }
        }

        private func memory(_ agent: TestAgent) -> Int {
            agent.pid.flatMap(ProcessTable.residentBytes) ?? 0
        }

        private func report(_ agent: TestAgent, grewBy growth: Int) {
            let total = memory(agent) >> 10
            print("measured: agent \(agent.name) has \(total) KiB, \(growth >> 10) KiB more")
        }

        private func expectRefusals(_ agent: TestAgent) async throws {
            let refused = try await agent.status().refused
            for reason in ["datagram.badMagic", "datagram.truncated", "http.malformed"] {
                #expect(refused[reason] ?? 0 > 0, "\(reason) is not among \(refused)")
            }
            #expect(refused.keys.contains { $0.hasPrefix("stream.") }, "\(refused)")
            for (reason, count) in refused where count > 1 {
                let lines = agent.log.count {
                    $0.id == "agent.refused" && $0.texts["reason"] == reason
                }
                // The first, the tenth, the hundredth…
                #expect((1...5).contains(lines), "\(lines) lines for \(count) × \(reason)")
            }
        }

        private func abuse(
            _ agent: TestAgent,
            of cluster: TestCluster,
            rounds: Int
        ) async throws {
            var random = SeededGenerator(seed: UInt64(rounds))
            let header = Self.header(of: cluster)
            let agentPort = agent.endpoint(TestAgent.agentPort)
            let http = agent.endpoint(TestAgent.httpPort)
            let sizes = [1, 2, 27, 28, 29, 64, 500, 1400, 9000, 60_000]
            for _ in 0..<rounds {
                var datagrams = sizes.map { Self.noise($0, &random) }
                datagrams += sizes.map { header + Self.noise($0, &random) }
                datagrams += (0..<header.count).map { Array(header.prefix($0)) }
                for _ in 0..<10 {
                    try Task.checkCancellation()
                    try await RawTraffic.send(datagrams, to: agentPort)
                }
                try await RawTraffic.send(datagrams, to: agent.endpoint(52413))
                for port in [agentPort, http] {
                    for bytes in Self.streams(header, &random) {
                        try await RawTraffic.send(bytes, to: port)
                    }
                }
            }
            // llama.cpp's RPC server takes one client, and lets few wait: connecting takes seconds
            // from the third on.
            for bytes in [Self.noise(1000, &random), []] {
                try await RawTraffic.send(bytes, to: agent.endpoint(TestAgent.rpcPort))
            }
        }

        /// What a datagram or stream of this cluster begins with, from a node that nobody knows.
        private static func header(of cluster: TestCluster) -> [UInt8] {
            let tag = DeviceFacts.fingerprint(ofModel: cluster.name)
            let tagBytes = (0..<8).map { UInt8(truncatingIfNeeded: tag >> (56 - 8 * $0)) }
            return [0xCA, 0x5A, 1, 0] + tagBytes + [UInt8](repeating: 0xEE, count: 16)
        }

        private static func streams(
            _ header: [UInt8],
            _ random: inout SeededGenerator
        ) -> [[UInt8]] {
            [
                [],
                noise(10_000, &random),
                Array(header.prefix(13)),
                // Four gigabytes are announced, and a frame that never ends.
                header + [0xFF, 0xFF, 0xFF, 0xFF] + noise(100, &random),
                header + [0, 0, 0x10, 0] + noise(100, &random),
                header + [0, 0, 0, 40] + noise(40, &random),
                header + [0, 0, 0, 0],
                Array("GET / HTTP/9.9\r\n\r\n".utf8),
                Array("\r\n\r\nNOISE\r\n".utf8),
                Array("GET /\u{0} HTTP/1.1\r\nHost: localhost\r\n\r\n".utf8),
                Array("POST /v1/chat/completions HTTP/1.1\r\nContent-Length: -4\r\n\r\n".utf8),
                Array(
                    "POST /api/v1/launch HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999999\r\n\r\n"
                        .utf8
                ),
                Array(
                    ("GET / HTTP/1.1\r\nHost: localhost\r\nX: "
                        + String(repeating: "y", count: 70_000))
                        .utf8
                ),
                Array(
                    "POST /api/v1/stop HTTP/1.1\r\nHost: localhost\r\nOrigin: http://evil\r\nContent-Length: 2\r\n\r\n{}"
                        .utf8
                ),
            ]
        }

        private static func noise(_ count: Int, _ random: inout SeededGenerator) -> [UInt8] {
            (0..<count).map { _ in UInt8(truncatingIfNeeded: random.next()) }
        }

        @Test
        func
            `slow requests and hundreds of idle connections are given up, and others then get through`()
            async throws
        {
            try await withCluster { cluster in
                let (master, workers) = try await cluster.form(2)
                try await cluster.launch(through: master)
                let agent = workers[0]
                let http = agent.endpoint(TestAgent.httpPort)
                var channels = try await RawTraffic.idleConnections(300, to: agent.agentEndpoint)
                #expect(channels.count == 300)
                try await cluster.answers(agent)
                try await cluster.agree()

                let slow = try await RawTraffic.idleConnections(20, to: http)
                for channel in slow {
                    try await channel.writeAndFlush(ByteBuffer(string: "GET / HTTP/1.1\r\nX")).get()
                }
                channels += slow
                channels += try await RawTraffic.idleConnections(300, to: http)
                #expect(channels.count == 620)
                // The gateway takes 256 connections, and gives idle ones up after 20 seconds.
                try await measured("a chat gets through 620 idle connections") {
                    try await cluster.answers(agent)
                }
                try await cluster.answers(master)
                try await wait("slow requests are given up", within: .seconds(40)) {
                    slow.allSatisfy { !$0.isActive }
                }
                for channel in channels { try? await channel.close().get() }
                try await cluster.answers(agent)
            }
        }
    }
}
