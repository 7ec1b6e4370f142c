import Foundation
import Gateway
import Namespaces
import Primitives
import Processes
import Testing

extension ClusterTests {
    /// What somebody on another machine can do who does not have the cluster's key.
    @Suite(.needsEngine, .needsNamespaces, .needsCapture) struct Strangers {
        private static let stranger = 3

        /// Three agents with a key and a model that runs, and a machine beside them.
        private func withRunningModel(
            _ arguments: [String] = [],
            _ body: (
                NamespaceCluster, _ master: TestAgent, _ worker: TestAgent, _ other: TestAgent
            ) async throws -> Void
        ) async throws {
            let engine = try await TestEngine.folder
            let models = try await TestModels.folder
            try await withNamespaces(4, engine: engine, models: models) { cluster in
                let master = cluster.add(discovers: false, arguments: arguments)
                try await cluster.agree()
                let worker = cluster.add(seeds: [master], discovers: false, arguments: arguments)
                let other = cluster.add(seeds: [master], discovers: false, arguments: arguments)
                try await cluster.agree()
                try await body(cluster, master, worker, other)
            }
        }

        /// All ports of a machine that take a TCP connection from the stranger's.
        private func openPorts(
            of agent: TestAgent,
            _ cluster: NamespaceCluster
        ) async throws -> [UInt16] {
            let scan = "for p in {1..65535}; do : 3<>/dev/tcp/\(agent.address)/$p && echo $p; done"
            let found = try await cluster.network.run(
                "bash -c '{ \(scan); } 2>/dev/null; true'",
                on: Self.stranger
            )
            return found.split { $0.isWhitespace }.compactMap { UInt16($0) }
        }

        @Test(arguments: ["relay", "direct"])
        func `a scan of all ports finds a worker's RPC server only where it is exposed`(
            exposure: String
        ) async throws {
            try await withRunningModel(["--exposure", exposure]) { cluster, master, worker, _ in
                try await cluster.launch(TestModels.tiny, through: worker)
                #expect(!worker.rpcServers.isEmpty)
                #expect(!master.llamaServers.isEmpty)
                let known: [UInt16] = [TestAgent.agentPort, TestAgent.httpPort]
                let exposed: [UInt16] = exposure == "direct" ? [60000] : []
                #expect(try await openPorts(of: worker, cluster) == known + exposed)
                #expect(try await openPorts(of: master, cluster) == known)
            }
        }

        @Test func `on the wire nothing can be read, and from another machine nothing is let in`()
            async throws
        {
            try await withRunningModel { cluster, master, worker, other in
                let capture = try await Capture.during(
                    "net 10.77.0.0/24 and not port 52415",
                    on: "bridge",
                    placed: cluster.network.hubCommand
                ) {
                    // So that the beginnings of their talk are recorded, too.
                    try await restart(worker, beside: [master, other], cluster)
                    try await cluster.launch(TestModels.tiny, through: worker)
                    let chat = cluster.streamedChat(worker, maxTokens: 12)
                    #expect(try await chat.end().isSuccess)
                    #expect(chat.lines.contains { $0.contains("[DONE]") })
                    // Some more gossip.
                    try await Task.sleep(for: .seconds(5))
                }
                print("measured: \(capture.payloads.count) payloads on the bridge")
                #expect(capture.payloads.count > 100)
                for text in [
                    "Hello there", "tiny.gguf", "HTTP/1.1", "chat/completions", "blk.0", "0.7.0",
                    "rpc-server", "GGUF",
                ] {
                    #expect(capture.count(of: text) == 0, "\(text) is to be read on the wire")
                }
                let before = try await cluster.agree()

                // Joins, votes and heartbeats of an agent that has no key.
                let stranger = cluster.add(
                    seeds: [master, worker],
                    discovers: true,
                    isStranger: true
                )
                try await wait("the stranger is on its own", within: .seconds(30)) {
                    let status = try await stranger.status()
                    return status.master == status.`self` && status.members.count == 1
                }
                try await Task.sleep(for: .seconds(2))
                stranger.kill()
                _ = try await stranger.running?.end()
                let refused = try await refusals(master)
                #expect(refused.keys.contains { $0.hasSuffix(".badMagic") }, "\(refused)")

                // What was recorded, as it was, altered, and played back on a stream: to whom it
                // was meant for, to somebody else, and to whom it was meant for in a later life.
                try await expectSilence(capture, of: master, to: master, cluster)
                try await expectSilence(capture, of: master, to: other, cluster)
                #expect(try await refusals(other)["datagram.otherTarget", default: 0] > 0)
                #expect(try await refusals(other)["stream.otherTarget", default: 0] > 0)
                let after = try await cluster.agree([master, worker, other])
                #expect(after.ballot == before.ballot)
                #expect(after.members.map(\.id) == before.members.map(\.id))
                #expect(after.model?.phase == "ready")
                try await restart(master, beside: [worker, other], cluster)
                try await expectSilence(capture, of: master, to: master, cluster)
                let final = try await cluster.agree([master, worker, other])
                #expect(final.members.map(\.id) == before.members.map(\.id))
            }
        }

        /// Kills an agent and starts it again, with what it keeps on disk.
        private func restart(
            _ agent: TestAgent,
            beside others: [TestAgent],
            _ cluster: NamespaceCluster
        ) async throws {
            agent.kill()
            _ = try await agent.running?.end()
            agent.start()
            try await cluster.agree(others + [agent])
        }

        /// Plays what was sent to one agent to one: it must be refused, and nothing comes back.
        private func expectSilence(
            _ capture: Capture,
            of recorded: TestAgent,
            to target: TestAgent,
            _ cluster: NamespaceCluster
        ) async throws {
            let before = try await refusals(target)
            let (answers, sent) = try await replay(capture, of: recorded, to: target, cluster)
            #expect(answers.datagrams == 0)
            #expect(answers.streamBytes == 0)
            let after = try await refusals(target)
            func count(_ prefix: String) -> Int {
                func sum(_ counts: [String: UInt64]) -> Int {
                    Int(counts.filter { $0.key.hasPrefix(prefix) }.values.reduce(0, +))
                }
                return sum(after) - sum(before)
            }
            #expect(count("datagram.") >= sent.datagrams * 9 / 10, "\(after) after \(before)")
            #expect(count("stream.") >= sent.streams, "\(after) after \(before)")
        }

        private func refusals(_ agent: TestAgent) async throws -> [String: UInt64] {
            try await agent.status().refused
        }

        /// Sends recorded traffic from the stranger's machine, and counts what comes back.
        private func replay(
            _ capture: Capture,
            of recorded: TestAgent,
            to target: TestAgent,
            _ cluster: NamespaceCluster
        ) async throws -> (
            answers: (datagrams: Int, streamBytes: Int), sent: (datagrams: Int, streams: Int)
        ) {
            let folder = target.folder + "-recorded-\(UInt32.random(in: 0 ... .max))"
            try FileManager.default.createDirectory(
                atPath: folder,
                withIntermediateDirectories: true
            )
            let all = capture.datagrams.filter { $0.destination == recorded.agentEndpoint }
                .map(\.bytes)
            // With the beginnings of handshakes, of kind 1.
            var datagrams = all.filter { $0.dropFirst(3).first == 1 } + all.suffix(100)
            #expect(datagrams.count > 30)
            datagrams += datagrams.map { bytes in
                var bytes = bytes
                bytes[bytes.count / 2] ^= 0x10
                return bytes
            }
            let streams = capture.streams.filter { $0.destination == recorded.agentEndpoint }
                .prefix(5).map(\.bytes)
            #expect(datagrams.count > 10 && !streams.isEmpty)
            for (number, bytes) in datagrams.enumerated() {
                try Data(bytes).write(to: URL(filePath: folder + "/\(number).datagram"))
            }
            for (number, bytes) in streams.enumerated() {
                try Data(bytes).write(to: URL(filePath: folder + "/\(number).stream"))
            }
            let place = "\(target.address)/\(TestAgent.agentPort)"
            let counter = "awk '/^Udp: [0-9]/ { print $2 + $3 }' /proc/net/snmp"
            func received() async throws -> Int {
                let text = try await cluster.network.run(counter, on: Self.stranger)
                return try #require(Int(text.filter { !$0.isWhitespace }))
            }
            let before = try await received()
            let sending = "for f in \(folder)/*.datagram; do cat $f > /dev/udp/\(place); done"
            let playing = """
                for f in \(folder)/*.stream; do
                  exec 3<>/dev/tcp/\(place); cat $f >&3; timeout 1 cat <&3 | wc -c; exec 3>&-
                done
                """
            try await cluster.network.run("bash -c '\(sending)'", on: Self.stranger)
            let counts = try await cluster.network.run(
                "bash -c '{ \(playing); } 2>/dev/null; true'",
                on: Self.stranger
            )
            try await Task.sleep(for: .seconds(1))
            let bytes = counts.split { $0.isWhitespace }.compactMap { Int($0) }
            #expect(bytes.count == streams.count)
            return (
                (try await received() - before, bytes.reduce(0, +)),
                (datagrams.count, streams.count)
            )
        }
    }
}
