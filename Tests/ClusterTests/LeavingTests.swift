import Foundation
import Gateway
import Primitives
import Processes
import Testing

extension ClusterTests {
    @Suite(.needsEngine) struct Leaving {
        /// Waits until all of these agents obey the one of that name.
        private func obeyed(_ name: String, by agents: [TestAgent]) async throws {
            try await wait("\(name) is master", within: .seconds(20)) {
                for agent in agents {
                    let status = try await agent.status()
                    guard status.members.first(where: { $0.id == status.master })?.name == name
                    else { return false }
                }
                return true
            }
        }

        @Test func `mastership and the model move to the named device; unfit ones are refused`()
            async throws
        {
            try await withCluster { cluster in
                let (master, workers) = try await cluster.form(3)
                try await cluster.launch(through: master)
                let target = workers[0]
                let host = ["--host", "\(workers[1].address)"]
                let done = try await Built.run(["transfer", target.name, "--json"] + host)
                #expect(done.exit.isSuccess, "\(done.standardError)")
                #expect(done.standardOutput.contains(#""status":"transferred""#))
                try await obeyed(target.name, by: cluster.agents)
                try await cluster.ready(target)
                #expect(target.llamaServers.count == 1)
                try await wait("the old llama-server is gone", within: .seconds(10)) {
                    master.llamaServers.isEmpty
                }
                let unknown = try await Built.run(["transfer", "nobody"] + host)
                #expect(!unknown.exit.isSuccess)
                #expect(unknown.standardError.contains("nobody"))
            }
        }

        @Test func `whoever asks for a transfer through another device hears how it ends`()
            async throws
        {
            // On a fast disk, where what follows from obeying another master follows at once.
            try await withCluster(keepsInMemory: true) { cluster in
                let (master, workers) = try await cluster.form(3)
                let asked = workers[1]
                // The old master answers in the very moment in which it begins to obey another.
                for round in 1...20 {
                    let target = round % 2 == 1 ? workers[0] : master
                    let output = try await Built.run(
                        ["transfer", target.name, "--host", "\(asked.address)"]
                    )
                    #expect(output.exit.isSuccess, "round \(round): \(output.standardError)")
                    try await obeyed(target.name, by: cluster.agents)
                }
            }
        }

        @Test func `a worker that leaves is planned without before it goes, and ends well`()
            async throws
        {
            try await withCluster { cluster in
                let (master, workers) = try await cluster.form(3)
                try await cluster.launch(through: master)
                let leaver = workers[0]
                let output = try await Built.run(
                    ["leave", leaver.name, "--host", "\(workers[1].address)"],
                    timeout: .seconds(60)
                )
                #expect(output.exit.isSuccess, "\(output.standardError)")
                #expect(!output.standardOutput.contains("but"), "\(output.standardOutput)")
                try await wait("it ends", within: .seconds(20)) {
                    leaver.pid.map(ProcessTable.isRunning) != true
                }
                let model = try await cluster.ready(master)
                #expect(!model.layers.contains { $0.name == leaver.name })
                let status = try await master.status()
                #expect(status.members.first { $0.name == leaver.name }?.state == "left")
            }
        }

        @Test func `a cluster of three with one lost decides; a voter that leaves is no voter`()
            async throws
        {
            try await withCluster { cluster in
                for _ in 0..<3 { cluster.add(arguments: ["--policy", "quorum"]) }
                let first = cluster.agents[0]
                try await wait("it answers", within: .seconds(20)) {
                    try await first.status().policy == "quorum"
                }
                let found = try await Built.run(["found", "--host", "\(first.address)"])
                #expect(found.exit.isSuccess)
                let again = try await Built.run(["found", "--host", "\(first.address)"])
                #expect(!again.exit.isSuccess)
                try await cluster.agree()
                try await wait("there are three voters", within: .seconds(40)) {
                    try await first.status().voters?.count == 3
                }
                let (master, workers) = try cluster.roles(try await first.status())
                let output = try await Built.run(
                    ["leave", master.name, "--host", "\(workers[0].address)"],
                    timeout: .seconds(60)
                )
                #expect(output.exit.isSuccess, "\(output.standardError)")
                try await wait("two go on with one voter", within: .seconds(20)) {
                    let status = try await workers[0].status()
                    return status.voters?.count == 1 && status.voters?.first == status.master
                }
            }
        }
    }
}
