import Foundation
import Gateway
import Primitives
import Processes
import Synchronization
import Testing

/// Agents of one cluster, on addresses and in folders of their own.
final class TestCluster: Sendable {
    let name: String
    private let network: UInt32
    private let folder: String
    private let engineFolder: String
    private let modelsFolder: String
    private let all = Mutex<[TestAgent]>([])
    /// The join code; nil for a cluster without a key.
    let code: String?
    /// Given to every agent besides.
    private let extraArguments: [String]

    /// Long enough for an election on a machine that is busy with something else.
    static let formingLimit: Duration = .seconds(45)
    /// Long enough for a launch, or for a launch after a failure was noticed.
    static let launchLimit: Duration = .seconds(60)

    fileprivate init(
        isOpen: Bool,
        keepsInMemory: Bool,
        extraArguments: [String]
    ) async throws {
        self.extraArguments = extraArguments
        engineFolder = try await TestEngine.folder
        modelsFolder = try await TestModels.folder
        network = Loopback.network()
        name = "test-\(IPAddress.v4(network))"
        let isInMemory = keepsInMemory && FileManager.default.fileExists(atPath: "/dev/shm")
        folder = isInMemory ? "/dev/shm/caravan-\(name)" : TestFolder.path + "/\(name)"
        try FileManager.default.createDirectory(
            atPath: folder,
            withIntermediateDirectories: true
        )
        code = isOpen ? nil : try await Self.makeKey(in: folder)
    }

    private static func makeKey(in folder: String) async throws -> String {
        let output = try await Built.run(["init", "--state", folder + "/key"])
        guard output.exit.isSuccess else { throw Problem(output.standardError) }
        let shown = try await Built.run(["key", "show", "--state", folder + "/key"])
        return shown.standardOutput.filter { !$0.isNewline }
    }

    /// Puts the cluster's key into an agent's state folder, as `caravan join` does.
    private func giveKey(to folder: String) throws {
        guard code != nil else { return }
        let path = folder + "/cluster.key"
        try FileManager.default.createDirectory(
            atPath: folder,
            withIntermediateDirectories: true
        )
        guard !FileManager.default.fileExists(atPath: path) else { return }
        try FileManager.default.copyItem(atPath: self.folder + "/key/cluster.key", toPath: path)
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path)
    }

    var agents: [TestAgent] { all.withLock { $0 } }

    /// All agents' addresses begin with it.
    var networkAddress: IPAddress { .v4(network) }

    /// An agent of the same name of a cluster, which knows where the agents are and has no key of
    /// theirs; not started.
    func stranger(_ name: String, isOpen: Bool) -> TestAgent {
        let seeds = agents.flatMap { ["--seed", "\($0.agentEndpoint)"] }
        let number = UInt32(200 + name.utf8.count)
        return TestAgent(
            name: name,
            address: .v4(network | number),
            folder: folder + "/\(name)",
            isOpen: isOpen,
            arguments: ["--cluster", self.name, "--models", modelsFolder, "--no-discovery"]
                + seeds
        )
    }

    // MARK: - Agents

    /// Starts one more agent.
    ///
    /// - Parameters:
    ///   - seeds: who it is told of; all agents started so far unless given.
    ///   - discovers: whether it looks around by itself. Off unless that is what is tested, so
    ///     that a test means what it says.
    ///   - more: for its command line.
    @discardableResult
    func add(
        seeds: [TestAgent]? = nil,
        discovers: Bool = false,
        arguments more: [String] = []
    ) -> TestAgent {
        let known = agents
        let number = UInt32(known.count + 1)
        let name = String(UnicodeScalar(UInt8(ascii: "a") + UInt8(known.count)))
        var arguments = ["--cluster", self.name, "--engine", engineFolder]
        arguments += ["--models", modelsFolder, "--memory", "2GiB", "--log-level", "debug"]
        for seed in seeds ?? known { arguments += ["--seed", "\(seed.agentEndpoint)"] }
        if !discovers { arguments.append("--no-discovery") }
        arguments += more
        arguments += extraArguments
        let agent = TestAgent(
            name: name,
            address: .v4(network | number),
            folder: folder + "/\(name)",
            isOpen: code == nil,
            arguments: arguments
        )
        all.withLock { $0.append(agent) }
        do {
            try giveKey(to: agent.folder)
        } catch {
            Issue.record("no key for \(name): \(error)")
        }
        agent.start()
        return agent
    }

    /// Waits until these agents, all that run unless given, agree on who is there and who is
    /// master.
    ///
    /// - Returns: the status of the first of them.
    @discardableResult
    func agree(_ agents: [TestAgent]? = nil) async throws -> ClusterStatus {
        try await Self.agreement(of: agents ?? self.agents)
    }

    /// Waits until these agents agree on who is there, they alone, and who is master.
    static func agreement(of agents: [TestAgent]) async throws -> ClusterStatus {
        let names = agents.map(\.name).sorted()
        var views: [ClusterStatus] = []
        try await wait(
            "\(names) agree; they say \(views.map(summary))",
            within: formingLimit
        ) {
            views = []
            for agent in agents { views.append(try await agent.status()) }
            guard let first = views.first, let master = first.master else { return false }
            return views.allSatisfy { view in
                let alive = view.members.filter { $0.state == "alive" }
                return view.master == master && view.ballot == first.ballot
                    && alive.map(\.name).sorted() == names
                    && alive.contains { $0.id == master }
            }
        }
        guard let first = views.first else { throw Problem("there is no agent") }
        return first
    }

    private static func summary(_ status: ClusterStatus) -> String {
        let members = status.members.map { "\($0.name) \($0.state)" }.joined(separator: ", ")
        return "[\(members); master \(status.master ?? "none"), ballot term "
            + "\(status.ballot?.term ?? 0)]"
    }

    /// The agent that a status names as master, and the others.
    func roles(_ status: ClusterStatus) throws -> (master: TestAgent, workers: [TestAgent]) {
        let name = status.members.first { $0.id == status.master }?.name
        guard let master = agents.first(where: { $0.name == name }) else {
            throw Problem("nobody is master: \(Self.summary(status))")
        }
        return (master, agents.filter { $0.name != name })
    }

    /// Starts agents and waits until they are one cluster.
    func form(_ count: Int) async throws -> (master: TestAgent, workers: [TestAgent]) {
        for _ in 0..<count { add() }
        return try roles(try await agree())
    }

    // MARK: - Models

    /// Launches the tiny model and waits until it is ready.
    ///
    /// - Returns: how the agent that was asked tells of it.
    @discardableResult
    func launch(
        through agent: TestAgent,
        context: Int? = nil
    ) async throws -> ClusterStatus.Model {
        let request = LaunchRequest(model: TestModels.tiny, context: context)
        let json = [UInt8](try JSONEncoder().encode(request))
        let answer = try await agent.client.post("/api/v1/launch", json: json)
        guard answer.status == 202 else { throw Problem("\(answer.status): \(answer.text)") }
        // The state of an earlier launch may still be told by agents other than the master.
        try await Task.sleep(for: .milliseconds(300))
        return try await ready(agent)
    }

    /// Waits until an agent says that the model is ready.
    @discardableResult
    func ready(_ agent: TestAgent) async throws -> ClusterStatus.Model {
        var model: ClusterStatus.Model?
        try await wait(
            "\(agent.name) says ready; it says \(model?.phase ?? "none"): \(model?.message ?? "")",
            within: Self.launchLimit
        ) {
            model = try await agent.status().model
            return model?.phase == "ready"
        }
        guard let model else { throw Problem("no model") }
        return model
    }

    // MARK: - The end

    /// Kills what runs, looks for what outlived its agent, and removes what was written.
    fileprivate func end(failed: Bool) async {
        let agents = agents
        if failed || ProcessInfo.processInfo.environment["CARAVAN_TEST_LOGS"] != nil {
            for agent in agents {
                print("--- the end of what agent \(agent.name) at \(agent.address) said:")
                for line in agent.running?.lines.suffix(60) ?? [] { print(line) }
            }
        }
        let children = agents.flatMap(\.children)
        for agent in agents { agent.kill() }
        for agent in agents { _ = try? await agent.running?.end() }
        let left = await survivors(of: children)
        if !left.isEmpty { Issue.record("outlived their agents: \(left)") }
        try? FileManager.default.removeItem(atPath: folder)
    }

    private func survivors(of children: [ProcessTable.Entry]) async -> [ProcessTable.Entry] {
        for _ in 0..<100 {
            let left = children.filter { ProcessTable.isRunning($0.pid) }
            if left.isEmpty { return [] }
            // Not cut short when the test was: what was started must be seen to end.
            await Task.detached { try? await Task.sleep(for: .milliseconds(20)) }.value
        }
        return children.filter { ProcessTable.isRunning($0.pid) }
    }
}

/// Gives a test a cluster, and clears up after it however it ends.
///
/// - Parameter keepsInMemory: whether agents write to a disk that takes no time, where there is one.
func withCluster(
    isOpen: Bool = false,
    keepsInMemory: Bool = false,
    extraArguments: [String] = [],
    _ body: (TestCluster) async throws -> Void
) async throws {
    let failuresBefore = Failures.count
    let cluster = try await TestCluster(
        isOpen: isOpen,
        keepsInMemory: keepsInMemory,
        extraArguments: extraArguments
    )
    do {
        try await body(cluster)
    } catch {
        await cluster.end(failed: true)
        throw error
    }
    await cluster.end(failed: Failures.count > failuresBefore)
}
