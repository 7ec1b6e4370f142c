import Foundation
import Gateway
import Primitives
import Processes
import Testing

extension ClusterTests {
    @Suite(.needsEngine) struct Command {
        @Test func `status prints the cluster as JSON with stable keys, or as a table`()
            async throws
        {
            try await withCluster { cluster in
                let (master, workers) = try await cluster.form(2)
                try await cluster.launch(through: master)
                try await cluster.ready(workers[0])
                for agent in [master, workers[0]] {
                    let output = try await Built.run([
                        "status", "--json", "--host", "\(agent.address)",
                    ])
                    #expect(output.exit.isSuccess)
                    let data = Data(output.standardOutput.utf8)
                    let status = try JSONDecoder().decode(ClusterStatus.self, from: data)
                    #expect(status.members.map(\.name).sorted() == ["a", "b"])
                    #expect(status.model?.phase == "ready")
                    try expectKeys(data)
                    let table = try await Built.run(["status", "--host", "\(agent.address)"])
                    #expect(table.exit.isSuccess)
                    for part in ["Master  \(master.name)", "tiny.gguf, ready", "RPC0", "alive"] {
                        #expect(table.standardOutput.contains(part), "\(table.standardOutput)")
                    }
                }
            }
        }

        private func expectKeys(_ data: Data) throws {
            let json = try #require(
                try JSONSerialization.jsonObject(with: data) as? [String: Any]
            )
            #expect(
                Set(json.keys).isSuperset(of: [
                    "self", "cluster", "master", "ballot", "members", "model", "refused",
                    "warnings",
                ])
            )
            let member = try #require((json["members"] as? [[String: Any]])?.first)
            #expect(
                Set(member.keys).isSuperset(of: [
                    "id", "name", "address", "state", "incarnation", "role", "memory", "httpPort",
                    "engine",
                ])
            )
            let model = try #require(json["model"] as? [String: Any])
            #expect(
                Set(model.keys).isSuperset(of: [
                    "name", "phase", "message", "context", "split", "layers",
                ])
            )
            let layers = try #require((model["layers"] as? [[String: Any]])?.first)
            #expect(
                Set(layers.keys).isSuperset(of: [
                    "node", "name", "device", "first", "end", "modelBytes",
                ])
            )
        }

        @Test func `launch and stop wait and tell; logs -f prints the phases in their order`()
            async throws
        {
            try await withCluster { cluster in
                let (master, workers) = try await cluster.form(3)
                let logs = RunningProgram(
                    ChildCommand(
                        executable: Built.caravan,
                        arguments: ["logs", "-f", "--json", "--state", master.folder]
                    )
                )
                defer { logs.signal(.kill) }
                let host = ["--host", "\(workers[0].address)"]
                let launch = try await Built.run(
                    ["launch", TestModels.tiny] + host,
                    timeout: TestCluster.launchLimit
                )
                #expect(launch.exit.isSuccess, "\(launch.standardError)")
                #expect(launch.standardOutput.contains("ready: Ready on 2 worker(s)"))
                let all = [
                    "startingWorkers", "checkingWorkers", "startingServer", "handshake",
                    "loading", "ready",
                ]
                var phases: [String] = []
                try await wait("the log tells all phases; it told \(phases)") {
                    let lines = logs.lines.compactMap { line in
                        try? JSONDecoder().decode(TestAgent.LogLine.self, from: Data(line.utf8))
                    }
                    phases = lines.filter { $0.id == "placement.phase" }.compactMap {
                        $0.texts["phase"]
                    }
                    return phases.last == "ready"
                }
                #expect(phases == all)
                logs.signal(.terminate)
                #expect(try await logs.end().isSuccess)
                let stop = try await Built.run(["stop"] + host)
                #expect(stop.exit.isSuccess)
                try await wait("nothing of llama.cpp runs any more") {
                    cluster.agents.allSatisfy(\.children.isEmpty)
                }
            }
        }

        @Test func `a device's log is read, and its models are fetched, from another one`()
            async throws
        {
            try await withCluster { cluster in
                let owner = cluster.add()
                let other = cluster.add(arguments: ["--models", "/nowhere"])
                try await cluster.agree()
                let host = ["--host", "\(other.address)"]

                let log = try await Built.run(["logs", owner.name, "--json", "-n", "3"] + host)
                #expect(log.exit.isSuccess, "\(log.standardError)")
                let told = log.standardOutput.split(separator: "\n")
                #expect(told.count == 3)
                let all = try String(
                    contentsOfFile: owner.folder + "/logs/agent.jsonl",
                    encoding: .utf8
                )
                #expect(told.allSatisfy { all.contains($0) })
                let nobody = try await Built.run(["logs", "nobody"] + host)
                #expect(nobody.exit == .exited(code: 1))
                #expect(nobody.standardError.contains(owner.name))

                let list = try await Built.run(["model", "list", "--json"] + host)
                #expect(list.standardOutput.contains("\"\(TestModels.tiny)\""))
                #expect(list.standardOutput.contains("\"\(owner.name)\""))

                let folder = other.folder + "/fetched"
                let get = ["model", "get", TestModels.tiny, "--models", folder] + host
                let original = try Data(
                    contentsOf: URL(filePath: try await TestModels.folder + "/" + TestModels.tiny)
                )
                let fetched = try await Built.run(get)
                #expect(fetched.exit.isSuccess, "\(fetched.standardError)")
                let place = URL(filePath: folder + "/" + TestModels.tiny)
                #expect(try Data(contentsOf: place) == original)
                #expect(
                    try FileManager.default.contentsOfDirectory(atPath: folder) == [TestModels.tiny]
                )
                let again = try await Built.run(get)
                #expect(again.exit.isSuccess)
                #expect(again.standardOutput.contains("already"))

                // What broke off goes on where it was, as long as it is the same file; a mark in
                // what is there already tells which.
                let half = original.count / 2
                var begun = original.prefix(half)
                begun[half - 1] ^= 1
                let path = "/api/v1/models/\(TestModels.tiny)"
                let tag = try await owner.client.get(path).headers["etag"] ?? ""
                for (tag, goesOn) in [(tag, true), ("\"other\"", false)] {
                    try FileManager.default.removeItem(at: place)
                    try begun.write(to: URL(filePath: place.path() + ".part"))
                    try Data(tag.utf8).write(to: URL(filePath: place.path() + ".part.tag"))
                    let rest = try await Built.run(get)
                    #expect(rest.exit.isSuccess, "\(rest.standardError)")
                    let bytes = try Data(contentsOf: place)
                    #expect(bytes.count == original.count)
                    #expect(
                        bytes[half - 1] == (goesOn ? original[half - 1] ^ 1 : original[half - 1])
                    )
                    #expect(bytes[half...] == original[half...])
                }

                // What lies there and is another file is kept, unless it is said otherwise.
                try original.prefix(1000).write(to: place)
                let kept = try await Built.run(get)
                #expect(kept.exit == .exited(code: 1))
                #expect(kept.standardError.contains("--force"))
                let forced = try await Built.run(get + ["--force"])
                #expect(forced.exit.isSuccess, "\(forced.standardError)")
                #expect(try Data(contentsOf: place) == original)
            }
        }

        @Test func `a launch of a model that is not there fails with 1 and names it`() async throws
        {
            try await withCluster { cluster in
                let (master, _) = try await cluster.form(1)
                let output = try await Built.run([
                    "launch", "missing.gguf", "--host", "\(master.address)",
                ])
                #expect(output.exit == .exited(code: 1))
                #expect(output.standardError.contains("missing.gguf"))
            }
        }
    }
}
