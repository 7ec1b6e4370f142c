import Foundation
import Gateway
import Namespaces
import Primitives
import Synchronization

/// Agents on machines of their own: one network namespace each, one bridge between them.
///
/// They need no llama.cpp. Nothing is faster than `caravan status` in the hub's namespace: this
/// process itself reaches none of their addresses.
final class NamespaceCluster: Sendable {
    let network: NamespaceNetwork
    private let folder: String
    private let all = Mutex<[TestAgent]>([])

    fileprivate init(_ network: NamespaceNetwork) throws {
        self.network = network
        folder = TestFolder.path + "/namespaces-\(Loopback.network())"
        try FileManager.default.createDirectory(
            atPath: folder + "/models",
            withIntermediateDirectories: true
        )
    }

    private static let checking = Task { () -> Result<Void, Problem> in
        guard geteuid() == 0 else { return .failure(Problem("network namespaces take root")) }
        do {
            return .success(
                try await NamespaceNetwork.check(isRoot: true, guardedBy: Built.guardBinary)
            )
        } catch {
            return .failure(Problem("\(error)"))
        }
    }

    /// Throws why there can be none.
    static func check() async throws { try await checking.value.get() }

    var agents: [TestAgent] { all.withLock { $0 } }

    /// Starts an agent on the next machine.
    ///
    /// - Parameters:
    ///   - seeds: who it is told of.
    ///   - discovers: whether it looks around by itself.
    @discardableResult
    func add(
        seeds: [TestAgent] = [],
        discovers: Bool,
        arguments: [String] = []
    ) -> TestAgent {
        let node = agents.count
        let name = NamespaceNetwork.name(of: node)
        var words = ["--models", folder + "/models", "--engine", folder + "/none"]
        words += ["--memory", "1GiB", "--log-level", "debug", "--http-open"]
        for seed in seeds { words += ["--seed", "\(seed.agentEndpoint)"] }
        if !discovers { words.append("--no-discovery") }
        let agent = TestAgent(
            name: name,
            address: network.address(of: node),
            folder: folder + "/\(name)",
            arguments: words + arguments
        )
        agent.place(on: TestAgent.Machine(network: network, node: node))
        all.withLock { $0.append(agent) }
        agent.start()
        return agent
    }

    /// Waits until these agents, all unless given, agree on who is there and who is master.
    @discardableResult
    func agree(_ agents: [TestAgent]? = nil) async throws -> ClusterStatus {
        try await TestCluster.agreement(of: agents ?? self.agents)
    }

    fileprivate func end(failed: Bool) async {
        for agent in agents { agent.kill() }
        for agent in agents {
            _ = try? await agent.running?.end()
            guard failed else { continue }
            print("--- the end of what agent \(agent.name) at \(agent.address) said:")
            for line in agent.running?.lines.suffix(60) ?? [] { print(line) }
        }
        try? FileManager.default.removeItem(atPath: folder)
    }
}

/// Gives a test a network of namespaces with agents, and clears up after it however it ends.
func withNamespaces(
    _ nodeCount: Int,
    _ body: (NamespaceCluster) async throws -> Void
) async throws {
    let failuresBefore = Failures.count
    try await NamespaceNetwork.with(
        nodeCount: nodeCount,
        hub: .apart,
        guardedBy: Built.guardBinary
    ) { network in
        let cluster = try NamespaceCluster(network)
        do {
            try await body(cluster)
        } catch {
            await cluster.end(failed: true)
            throw error
        }
        await cluster.end(failed: Failures.count > failuresBefore)
    }
}
