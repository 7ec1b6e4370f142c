import Foundation
import Gateway
import Primitives
import Processes
import Testing

extension ClusterTests {
    /// What somebody on the network can do who does not have the cluster's key.
    @Suite(.needsEngine) struct Security {
        @Test(.needsCapture)
        func `of all that agents say nothing can be read, replayed, altered or played back`()
            async throws
        {
            try await withCluster { cluster in
                var agents: [TestAgent] = []
                let capture = try await Capture.during(cluster.networkAddress) {
                    let (master, workers) = try await cluster.form(3)
                    agents = [master] + workers
                    try await cluster.launch(through: workers[0])
                    try await cluster.answers(workers[1])
                }
                expectSealed(capture, cluster)
                let before = try await cluster.agree()
                let counts = try await refusals(agents)

                var datagrams = capture.datagrams.map { (bytes: $0.bytes, target: $0.destination) }
                datagrams = Array(datagrams.suffix(400)) + datagrams.prefix(100)
                let answers = try await RawTraffic.answers(to: datagrams)
                #expect(answers == 0, "replayed datagrams were answered")
                let altered = datagrams.enumerated().map { number, datagram in
                    var bytes = datagram.bytes
                    bytes[number % bytes.count] ^= 0x10
                    return (bytes: bytes, target: datagram.target)
                }
                #expect(try await RawTraffic.answers(to: altered) == 0)
                let recorded = capture.streams.filter { $0.destination.port == 52414 }
                #expect(recorded.count > 4)
                for stream in recorded.prefix(20) {
                    let pieces = try await RawTraffic.answers(
                        toStream: stream.bytes,
                        target: stream.destination
                    )
                    #expect(pieces == 0, "a stream that was played back was answered")
                }

                let refused = try await refusals(agents)
                let datagramCount = refused.datagrams - counts.datagrams
                // Of kind 3, the end of a handshake, which is not counted when it comes again within 5 s.
                let counted = datagrams.count { $0.bytes.dropFirst(3).first != 3 }
                #expect(datagramCount >= counted * 19 / 10, "\(datagramCount) of \(counted)")
                #expect(refused.streams - counts.streams >= min(20, recorded.count))
                let after = try await cluster.agree()
                #expect(after.ballot == before.ballot)
                #expect(after.members.map(\.id) == before.members.map(\.id))
                #expect(after.model?.phase == "ready")
                try await cluster.answers(agents[0])
            }
        }

        /// How many datagrams and streams the agents have refused so far.
        private func refusals(
            _ agents: [TestAgent]
        ) async throws -> (datagrams: Int, streams: Int) {
            var counts = (datagrams: 0, streams: 0)
            for agent in agents {
                for (reason, count) in try await agent.status().refused {
                    if reason.hasPrefix("datagram.") { counts.datagrams += Int(count) }
                    if reason.hasPrefix("stream.") { counts.streams += Int(count) }
                }
            }
            return counts
        }

        private func expectSealed(_ capture: Capture, _ cluster: TestCluster) {
            print("measured: \(capture.payloads.count) payloads on the agents' port")
            #expect(capture.payloads.count > 200)
            for text in [
                "Hello there", "tiny.gguf", "HTTP/1.1", "chat/completions", "blk.0", "0.7.0",
                "rpc-server", "not a member",
            ] {
                #expect(capture.count(of: text) == 0, "\(text) is to be read on the wire")
            }
            #expect(capture.datagrams.allSatisfy { $0.bytes.starts(with: [0xCA, 0x5E]) })
            #expect(capture.datagrams.allSatisfy { $0.bytes.count <= 1400 })
        }

        @Test func `who has no key, or another one, is not let in and changes nothing`()
            async throws
        {
            try await withCluster { cluster in
                let (master, workers) = try await cluster.form(2)
                try await cluster.launch(through: master)
                let before = try await cluster.agree()
                let open = cluster.stranger("open", isOpen: true)
                let other = cluster.stranger("other", isOpen: false)
                let made = try await Built.run(["init", "--state", other.folder])
                #expect(made.exit.isSuccess)
                for stranger in [open, other] { stranger.start() }
                defer { for stranger in [open, other] { stranger.kill() } }
                for stranger in [open, other] {
                    try await wait("a stranger is on its own", within: .seconds(30)) {
                        let status = try await stranger.status()
                        return status.master == status.`self` && status.members.count == 1
                    }
                }
                // The open one sends what it says in the clear, the other with its own key.
                let refused = try await master.status().refused
                #expect(refused.keys.contains { $0.hasSuffix(".badMagic") }, "\(refused)")
                #expect(refused.keys.contains { $0.hasSuffix(".unknownKey") }, "\(refused)")
                let after = try await cluster.agree([master, workers[0]])
                #expect(after.ballot == before.ballot)
                #expect(after.members.count == 2)
                try await cluster.answers(workers[0])
            }
        }

        @Test func `an agent without key and without --open says which two commands there are`()
            async throws
        {
            let folder = TestFolder.path + "/keyless"
            let nobody = IPAddress.v4(Loopback.network() | 251)
            let output = try await Built.run(["agent", "--state", folder, "--bind", "\(nobody)"])
            #expect(output.exit == .exited(code: 1))
            for part in ["caravan init", "caravan join CODE", "--open"] {
                #expect(output.standardError.contains(part), "\(output)")
            }
            let first = try await Built.run(["init", "--state", folder])
            #expect(first.exit.isSuccess)
            let mode = try FileManager.default.attributesOfItem(atPath: folder + "/cluster.key")
            #expect(mode[.posixPermissions] as? Int == 0o600)
            let again = try await Built.run(["init", "--state", folder])
            #expect(again.exit == .exited(code: 1))
            let shown = try await Built.run(["key", "show", "--state", folder])
            let code = shown.standardOutput.filter { !$0.isNewline }
            #expect(first.standardOutput.contains(code))
            let second = folder + "-second"
            var typed = code
            typed.removeLast()
            let wrong = try await Built.run(["join", typed, "--state", second])
            #expect(wrong.exit == .exited(code: 64))
            let joined = try await Built.run(["join", code.lowercased(), "--state", second])
            #expect(joined.exit.isSuccess, "\(joined)")
            let same = try await Built.run(["key", "show", "--state", second])
            #expect(same.standardOutput == shown.standardOutput)
        }

        @Test(arguments: ["relay", "direct"])
        func `a model runs and a lost worker is survived, whatever the exposure`(
            exposure: String
        ) async throws {
            try await withCluster(extraArguments: ["--exposure", exposure]) { cluster in
                let (master, workers) = try await cluster.form(3)
                try await cluster.launch(through: workers[0])
                for agent in [master] + workers { try await cluster.answers(agent) }
                let command = master.llamaServers.first?.command ?? ""
                for worker in workers {
                    let isDirect = command.contains("\(worker.address):60000")
                    #expect(isDirect == (exposure == "direct"), "\(command)")
                }
                let servers = workers[0].rpcServers
                workers[0].kill()
                try await cluster.gone(servers)
                try await cluster.answers(master)
                let model = try await cluster.ready(master)
                #expect(model.layers.map(\.name) == [workers[1].name])
            }
        }

        @Test func `a cluster without a key works, and warns`() async throws {
            try await withCluster(isOpen: true) { cluster in
                let (master, workers) = try await cluster.form(2)
                try await cluster.launch(through: workers[0])
                try await cluster.answers(master)
                let status = try await master.status()
                #expect(status.warnings.contains { $0.contains("open") })
                #expect(master.log.contains { $0.id == "agent.open" && $0.level == "warning" })
            }
        }

        @Test func `the key changes while a model runs, and a removed device is out`() async throws
        {
            try await withCluster { cluster in
                let (master, workers) = try await cluster.form(3)
                try await cluster.launch(through: master)
                let removed = workers[1]
                let output = try await Built.run([
                    "devices", "remove", removed.name, "--host", "\(workers[0].address)",
                    "--state", workers[0].folder,
                ])
                #expect(output.exit.isSuccess, "\(output)")
                let newCode = try await Built.run(["key", "show", "--state", workers[0].folder])
                #expect(newCode.standardOutput.contains(cluster.code ?? "-") == false)
                try await wait("the master has the new key", within: .seconds(20)) {
                    let shown = try await Built.run(["key", "show", "--state", master.folder])
                    return shown.standardOutput == newCode.standardOutput
                }
                let kept = try await Built.run(["key", "show", "--state", removed.folder])
                #expect(kept.standardOutput.contains(cluster.code ?? "-"))
                try await wait("the removed device is gone", within: .seconds(40)) {
                    let members = try await master.status().members
                    return members.contains { $0.name == removed.name && $0.state == "dead" }
                }
                try await cluster.answers(workers[0])
                // It finds that out at its own pace: nobody answers it any more.
                try await wait("the removed device sees others go", within: .seconds(60)) {
                    let members = try await removed.status().members
                    return members.count { $0.state == "alive" || $0.state == "suspect" } < 3
                }
            }
        }

        @Test func `a removed device says so, also later, and comes back with the new code`()
            async throws
        {
            try await withCluster { cluster in
                let (master, workers) = try await cluster.form(3)
                let (removed, remover) = (workers[1], workers[0])
                let first = try await removed.status().`self`
                let output = try await Built.run([
                    "devices", "remove", removed.name, "--host", "\(remover.address)",
                    "--state", remover.folder,
                ])
                #expect(output.exit.isSuccess, "\(output)")
                try await expectRemovalTold(by: removed)
                // It knows that in its next life, too.
                removed.terminate()
                _ = try await removed.running?.end()
                removed.start()
                try await expectRemovalTold(by: removed)

                try await expectNothing(of: removed, with: cluster.code ?? "", in: master)

                removed.terminate()
                _ = try await removed.running?.end()
                let code = try await Built.run(["key", "show", "--state", remover.folder])
                let joined = try await Built.run([
                    "join", "--replace", code.standardOutput.filter { !$0.isNewline },
                    "--state", removed.folder,
                ])
                #expect(joined.exit.isSuccess, "\(joined)")
                removed.start()
                try await cluster.agree()
                #expect(try await removed.status().`self` != first)
                #expect(try await removed.status().warnings == master.status().warnings)
            }
        }

        /// Lets the removed device come back as another one with the code that it knows, while the
        /// key before still opens: nobody lets it in, and its own key is nobody else's.
        private func expectNothing(
            of removed: TestAgent,
            with code: String,
            in member: TestAgent
        ) async throws {
            removed.terminate()
            _ = try await removed.running?.end()
            let old = try await Built.run(["join", code, "--state", removed.folder])
            #expect(old.exit == .exited(code: 1))
            #expect(old.standardError.contains("the code changed then"), "\(old)")
            let joined = try await Built.run([
                "join", "--new-device", code, "--state", removed.folder,
            ])
            #expect(joined.exit.isSuccess, "\(joined)")
            let before = try await Built.run(["key", "show", "--state", member.folder])
            removed.start()
            for _ in 0..<8 {
                try await Task.sleep(for: .seconds(1))
                let members = try await member.status().members
                let back = members.count { $0.name == removed.name && $0.state == "alive" }
                #expect(back == 0, "\(members)")
            }
            for _ in 0..<2 {
                _ = try await Built.run([
                    "key", "rotate", "--state", removed.folder,
                ])
            }
            try await Task.sleep(for: .seconds(5))
            let after = try await Built.run(["key", "show", "--state", member.folder])
            #expect(after.standardOutput == before.standardOutput)
            let refused = try await member.status().refused
            #expect(refused.keys.contains { $0.hasSuffix("closingKey") }, "\(refused)")
        }

        /// Waits until the device's doctor and its status say that it was removed.
        private func expectRemovalTold(by removed: TestAgent) async throws {
            try await wait("the removed device says so", within: .seconds(20)) {
                let warnings = (try? await removed.status().warnings) ?? []
                return warnings.contains { $0.contains("was removed from the cluster") }
            }
            let doctor = try await Built.run(["doctor", "--host", "\(removed.address)"])
            #expect(doctor.exit == .exited(code: 1))
            for part in ["was removed from the cluster, as ", "caravan join CODE"] {
                #expect(doctor.standardOutput.contains(part), "\(doctor)")
            }
        }
    }
}
