import FoundationEssentials
import Gateway
import Namespaces
import Primitives
import Processes
import Simulator
import Synchronization

/// One real agent of a replay: its process in its namespace, its state on the disk.
final class ReplayAgent: Sendable {
    static let httpPort: UInt16 = 52415
    private static let endLimit: Duration = .seconds(10)

    let node: Int
    let folder: String
    private let network: NamespaceNetwork
    private let command: ChildCommand
    private let process = Mutex<ChildProcess?>(nil)
    private let exit = Mutex<ChildExit?>(nil)

    /// - Parameter folder: of the whole replay.
    init(
        node: Int,
        network: NamespaceNetwork,
        caravan: String,
        folder: String,
        scenario: Scenario
    ) {
        self.node = node
        self.network = network
        self.folder = "\(folder)/\(Scenario.name(of: node))"
        // Only we are on its network: it needs neither key nor token.
        var arguments = ["agent", "--open", "--http-open", "--name", Scenario.name(of: node)]
        arguments += ["--cluster", "replay", "--bind", "\(network.address(of: node))"]
        arguments += ["--state", self.folder, "--models", "\(folder)/models"]
        // No model is launched, and looking for llama.cpp takes a moment.
        arguments += ["--engine", "\(folder)/none", "--memory", "1GiB"]
        arguments += ["--log-level", "debug", "--no-discovery"]
        arguments += ["--policy", scenario.policy.name]
        for seed in scenario.seeds where seed != node {
            arguments += ["--seed", "\(network.address(of: seed)):52414"]
        }
        command = ChildCommand(executable: caravan, arguments: arguments)
    }

    var name: String { Scenario.name(of: node) }

    /// How it ended, if it did.
    var ending: ChildExit? { exit.withLock { $0 } }

    func start() {
        exit.withLock { $0 = nil }
        let child = ChildProcess.start(network.command(command, on: node)) { [self] event in
            if case .exited(let exit) = event { self.exit.withLock { $0 = exit } }
        }
        process.withLock { $0 = child }
    }

    func suspend() { process.withLock { $0 }?.signal(.suspend) }
    func resume() { process.withLock { $0 }?.signal(.resume) }

    /// Kills it as `kill -9` does; returns when it is gone.
    func kill() async {
        guard let child = process.withLock({ $0 }) else { return }
        child.signal(.kill)
        // Not cut short when the replay was: nothing is left behind.
        await Task.detached { [self] in
            let deadline = ContinuousClock.now + Self.endLimit
            while ending == nil, ContinuousClock.now < deadline {
                try? await Task.sleep(for: .milliseconds(2))
            }
        }.value
        process.withLock { $0 = nil }
    }

    /// What a crash does to its disk.
    func damage(_ disk: DiskFault) throws {
        switch disk {
        case .kept: break
        case .torn:
            let path = folder + "/state"
            let bytes = FileManager.default.contents(atPath: path) ?? Data()
            try bytes.prefix(bytes.count / 2).write(to: URL(filePath: path))
        case .lost: try FileManager.default.removeItem(atPath: folder)
        }
    }

    /// Founds a cluster of the policy `quorum`, as `caravan found` does.
    func found() async throws {
        let endpoint = Endpoint(address: network.address(of: node), port: Self.httpPort)
        let answer = try await GatewayClient(endpoint: endpoint).post(
            "/api/v1/found",
            json: Array("{}".utf8)
        )
        guard answer.status < 300 else {
            throw ReplayError("\(name) founds no cluster: \(answer.text)")
        }
    }

    /// Every status that it tells in this life, until the task is cancelled.
    func follow(_ report: @escaping @Sendable (AgentView) -> Void) async {
        let endpoint = Endpoint(address: network.address(of: node), port: Self.httpPort)
        let client = GatewayClient(endpoint: endpoint)
        while !Task.isCancelled {
            do {
                for try await event in client.stream("/api/v1/events") where !event.data.isEmpty {
                    let status = try JSONDecoder().decode(
                        ClusterStatus.self,
                        from: Data(event.data.utf8)
                    )
                    if let view = AgentView(status) { report(view) }
                }
            } catch {
                // It is not up yet, or its machine is overloaded: asked again below.
            }
            try? await Task.sleep(for: .milliseconds(30))
        }
    }
}
