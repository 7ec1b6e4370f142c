import Foundation
import Gateway
import Processes
import Testing

extension ClusterTests {
    @Suite(.needsEngine) struct Failure {
        @Test func `a worker's agent is killed: its rpc-server dies, the cluster answers again`()
            async throws
        {
            try await withCluster { cluster in
                let (master, workers) = try await cluster.form(3)
                try await cluster.launch(through: master)
                let servers = workers[0].rpcServers
                #expect(servers.count == 1)
                let killed = ContinuousClock.now
                workers[0].kill()
                try await cluster.gone(servers)
                try await cluster.answers(master)
                report("a chat works after a worker was killed", ContinuousClock.now - killed)
                try await cluster.answers(workers[1])
                let model = try await cluster.ready(master)
                #expect(model.layers.map(\.name) == [workers[1].name])
            }
        }

        @Test func `a model that llama.cpp cannot read is given up at once, with its reason`()
            async throws
        {
            try await withCluster { cluster in
                let (master, workers) = try await cluster.form(2)
                let models = try await TestModels.folder
                let whole = try Data(contentsOf: URL(filePath: "\(models)/\(TestModels.tiny)"))
                // Its keys and its architecture have a name that no llama.cpp knows.
                var broken = whole
                while let place = broken.range(of: Data("llama".utf8)) {
                    broken.replaceSubrange(place, with: Data("lxama".utf8))
                }
                let path = master.folder + "/broken.gguf"
                try broken.write(to: URL(filePath: path))
                let output = try await Built.run(
                    ["launch", path, "--host", "\(workers[0].address)"],
                    timeout: .seconds(60)
                )
                #expect(output.exit == .exited(code: 1))
                for part in [
                    "unknown model architecture: 'lxama'", "Not tried again", "caravan model get",
                ] {
                    #expect(output.standardError.contains(part), "\(output.standardError)")
                }
                try await Task.sleep(for: .seconds(5))
                let log = master.log
                #expect(log.count { $0.id == "placement.server.command" } == 2)
                #expect(log.count { $0.id == "placement.replacing" } == 1)
                // The cluster is as good as before.
                try await cluster.launch(through: master)
                try await cluster.answers(workers[0])
            }
        }

        @Test func `the master's agent is killed: another one takes over what was wanted`()
            async throws
        {
            try await withCluster { cluster in
                let (master, others) = try await cluster.form(3)
                try await cluster.launch(through: master)
                for agent in others { try await cluster.ready(agent) }
                let servers = master.llamaServers
                #expect(servers.count == 1)
                let killed = ContinuousClock.now
                master.kill()
                try await cluster.gone(servers)
                try await cluster.answers(others[0])
                report("a chat works after the master was killed", ContinuousClock.now - killed)
                try await cluster.answers(others[1])
                let (newMaster, _) = try cluster.roles(try await others[0].status())
                #expect(newMaster.name != master.name)
                let model = try await cluster.ready(newMaster)
                #expect(model.name == TestModels.tiny)
            }
        }

        @Test func `of two devices the worker is killed: the master answers alone`()
            async throws
        {
            try await withCluster { cluster in
                let (master, workers) = try await cluster.form(2)
                try await cluster.launch(through: workers[0])
                let servers = workers[0].rpcServers
                #expect(servers.count == 1)
                let killed = ContinuousClock.now
                workers[0].kill()
                try await cluster.gone(servers)
                try await cluster.answers(master)
                report(
                    "a chat works after the only worker was killed",
                    ContinuousClock.now - killed
                )
                let model = try await cluster.ready(master)
                #expect(model.layers.map(\.device) == ["CPU"])
            }
        }
    }
}

extension TestCluster {
    /// llama.cpp's programs never outlive their agent: they would hold its port and its memory.
    func gone(_ programs: [ProcessTable.Entry]) async throws {
        try await wait("\(programs) are gone", within: .seconds(2), every: .milliseconds(10)) {
            !programs.contains { ProcessTable.isRunning($0.pid) }
        }
    }

    /// Asks until a chat is answered, as a patient client does.
    func answers(_ agent: TestAgent) async throws {
        try await wait(
            "\(agent.name) answers a chat",
            within: Self.launchLimit,
            every: .milliseconds(250)
        ) {
            // Few tokens: how fast llama.cpp computes is not what is asked.
            _ = try await Asking.chat(agent.client, maxTokens: 2)
            return true
        }
    }
}
