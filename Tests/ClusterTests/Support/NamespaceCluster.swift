import Foundation
import Gateway
import Namespaces
import Primitives
import Processes
import Synchronization
import Testing

/// Agents on machines of their own: one network namespace each, one bridge between them.
///
/// They need no llama.cpp unless they are given one, and then they have a key in common. Nothing
/// is faster than `caravan status` in the hub's namespace: this
/// process itself reaches none of their addresses.
final class NamespaceCluster: Sendable {
    let network: NamespaceNetwork
    private let folder: String
    private let all = Mutex<[TestAgent]>([])
    private let engine: Engine?

    /// What agents need to run a model.
    fileprivate struct Engine {
        let folder: String
        let models: String
    }

    fileprivate init(_ network: NamespaceNetwork, _ engine: Engine?) async throws {
        self.network = network
        self.engine = engine
        folder = TestFolder.path + "/namespaces-\(Loopback.network())"
        try FileManager.default.createDirectory(
            atPath: folder + "/models",
            withIntermediateDirectories: true
        )
        guard engine != nil else { return }
        let made = try await Built.run(["init", "--state", folder + "/key"])
        guard made.exit.isSuccess else { throw Problem(made.standardError) }
    }

    private func giveKey(to state: String) {
        do {
            let files = FileManager.default
            try files.createDirectory(atPath: state, withIntermediateDirectories: true)
            let path = state + "/cluster.key"
            try files.copyItem(atPath: folder + "/key/cluster.key", toPath: path)
            try files.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
        } catch {
            Issue.record("no key for \(state): \(error)")
        }
    }

    /// Where an agent listens.
    enum Place: Equatable {
        /// At its machine's IPv4 address, where the hub asks it.
        case address
        /// Where `--bind` says, or everywhere; only its own machine asks it.
        case inside(bind: String? = nil)
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
    ///   - isStranger: whether it has no key, and takes everybody.
    ///   - place: where it listens, and is asked.
    @discardableResult
    func add(
        seeds: [TestAgent] = [],
        discovers: Bool,
        isStranger: Bool = false,
        at place: Place = .address,
        arguments: [String] = []
    ) -> TestAgent {
        let node = agents.count
        let name = NamespaceNetwork.name(of: node)
        var words = ["--models", engine?.models ?? folder + "/models"]
        words += ["--engine", engine?.folder ?? folder + "/none"]
        words += ["--memory", "1GiB", "--log-level", "debug", "--http-open"]
        for seed in seeds { words += ["--seed", "\(seed.agentEndpoint)"] }
        if !discovers { words.append("--no-discovery") }
        let agent = TestAgent(
            name: name,
            address: network.address(of: node),
            folder: folder + "/\(name)",
            isOpen: engine == nil || isStranger,
            arguments: words + arguments
        )
        if engine != nil, !isStranger { giveKey(to: agent.folder) }
        agent.place(on: TestAgent.Machine(network: network, node: node, place: place))
        all.withLock { $0.append(agent) }
        agent.start()
        return agent
    }

    /// Waits until these agents, all unless given, agree on who is there and who is master.
    @discardableResult
    func agree(_ agents: [TestAgent]? = nil) async throws -> ClusterStatus {
        try await TestCluster.agreement(of: agents ?? self.agents)
    }

    /// Launches a model, as `caravan launch` does, which runs where the address means something.
    func launch(_ model: String, through agent: TestAgent) async throws {
        let output = try await agent.asked(
            ["launch", model, "--context", "16384"],
            timeout: TestCluster.launchLimit
        )
        guard output.exit.isSuccess else {
            throw Problem(output.standardOutput + output.standardError)
        }
    }

    /// A chat whose events come as the lines of a program, until it is killed.
    func streamedChat(_ agent: TestAgent, maxTokens: Int) -> RunningProgram {
        let body = (try? Asking.body("Hello there", maxTokens: maxTokens, stream: true)) ?? []
        let words =
            ["-sN", "-H", "Content-Type: application/json"]
            + ["-d", String(decoding: body, as: UTF8.self)]
        return RunningProgram(
            agent.asking("/usr/bin/curl", words) {
                ["http://\($0):\(TestAgent.httpPort)/v1/chat/completions"]
            }
        )
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
///
/// - Parameters:
///   - engine: the folder of llama.cpp, if the agents shall run models.
///   - models: the folder with their models.
func withNamespaces(
    _ nodeCount: Int,
    engine: String? = nil,
    models: String = "",
    _ body: (NamespaceCluster) async throws -> Void
) async throws {
    let failuresBefore = Failures.count
    try await NamespaceNetwork.with(
        nodeCount: nodeCount,
        hub: .apart,
        guardedBy: Built.guardBinary
    ) { network in
        let cluster = try await NamespaceCluster(
            network,
            engine.map { NamespaceCluster.Engine(folder: $0, models: models) }
        )
        do {
            try await body(cluster)
        } catch {
            await cluster.end(failed: true)
            throw error
        }
        await cluster.end(failed: Failures.count > failuresBefore)
    }
}
