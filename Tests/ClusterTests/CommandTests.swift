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
