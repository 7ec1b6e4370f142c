import Gateway
import Processes
import Testing

extension ClusterTests {
    @Suite(.needsEngine) struct Membership {
        @Test func `three agents with one seed show the same members, master and ballot`()
            async throws
        {
            try await withCluster { cluster in
                let seed = cluster.add(seeds: [])
                cluster.add(seeds: [seed])
                cluster.add(seeds: [seed])
                try await measured("three agents agree, one of them named as seed") {
                    try await cluster.agree()
                }
            }
        }

        @Test func `three agents without any seed find each other`() async throws {
            try await withCluster { cluster in
                for _ in 0..<3 { cluster.add(seeds: [], discovers: true) }
                try await measured("three agents agree that found each other") {
                    try await cluster.agree()
                }
            }
        }

        @Test func `an agent that is terminated leaves in order, without children and with code 0`()
            async throws
        {
            try await withCluster { cluster in
                let (master, workers) = try await cluster.form(3)
                try await cluster.launch(through: master)
                let leaver = workers[0]
                let children = leaver.children
                #expect(!children.isEmpty)
                leaver.terminate()
                let exit = try await leaver.running?.end()
                #expect(exit == .exited(code: 0))
                #expect(children.filter { ProcessTable.isRunning($0.pid) }.isEmpty)
                for other in [master, workers[1]] {
                    try await wait("\(other.name) knows that \(leaver.name) left") {
                        let members = try await other.status().members
                        return members.first { $0.name == leaver.name }?.state == "left"
                    }
                }
            }
        }

        @Test func `a master that is terminated leaves in order, and another one takes over`()
            async throws
        {
            try await withCluster { cluster in
                let (master, others) = try await cluster.form(3)
                try await cluster.launch(through: master)
                let children = master.children
                #expect(!children.isEmpty)
                let left = ContinuousClock.now
                master.terminate()
                #expect(try await master.running?.end() == .exited(code: 0))
                report("a master stops when asked", ContinuousClock.now - left)
                #expect(children.filter { ProcessTable.isRunning($0.pid) }.isEmpty)
                try await cluster.answers(others[0])
                report("a chat works after the master left", ContinuousClock.now - left)
            }
        }

        @Test func `a killed agent comes back as the same node with a higher incarnation`()
            async throws
        {
            try await withCluster { cluster in
                let (_, others) = try await cluster.form(3)
                let before = try await others[0].status()
                let own = try #require(before.members.first { $0.id == before.`self` })
                others[0].kill()
                _ = try await others[0].running?.end()
                others[0].start()
                try await cluster.agree()
                let after = try await others[1].status()
                let again = try #require(after.members.first { $0.name == own.name })
                #expect(after.members.count == 3)
                #expect(again.id == own.id)
                #expect(again.incarnation > own.incarnation)
            }
        }

        @Test func `what the cluster wants survives a restart of all agents`() async throws {
            try await withCluster { cluster in
                let (_, others) = try await cluster.form(3)
                try await cluster.launch(through: others[0])
                for agent in cluster.agents { agent.terminate() }
                for agent in cluster.agents {
                    #expect(try await agent.running?.end() == .exited(code: 0))
                }
                for agent in cluster.agents { agent.start() }
                let began = ContinuousClock.now
                try await cluster.agree()
                for agent in cluster.agents { try await cluster.answers(agent) }
                report("a chat works after all agents started anew", ContinuousClock.now - began)
            }
        }
    }
}
