import Agent
import FoundationEssentials
import Gateway
import Namespaces
import Primitives
import Processes
import SecureChannel
import Synchronization
import Telemetry

/// Three agents on loopback addresses, each a process of its own.
final class DemoCluster: Sendable {
    struct Member: Sendable {
        let name: String
        let address: IPAddress
        let state: String
    }

    struct Answer: Sendable {
        var tokenCount = 0
        var tokensPerSecond = 0.0
    }

    static let httpPort = AgentConfiguration.httpPort
    private static let names = ["phone", "laptop", "server"]
    private static let formingLimit: Duration = .seconds(40)
    private static let stopLimit: Duration = .seconds(15)

    let agents: [Member]
    private let folder: String
    private let engine: String
    private let models: String
    private let cluster: String
    private let memory: [String]
    private let more: [String]
    private let machines: NamespaceNetwork?
    private let greeted = Mutex<Set<String>>([])
    private let isQuiet: Mutex<Bool>
    private let told = Mutex<[String: Set<String>]>([:])
    private let running = Mutex<[ChildProcess]>([])
    private let ended = Mutex<[String]>([])
    private let following = Mutex<[Task<Void, Never>]>([])

    /// - Parameters:
    ///   - memory: what each agent says it offers; nil for what is measured.
    ///   - more: for the command line of each agent.
    ///   - machines: of their own for the agents; nil for loopback addresses.
    ///   - isQuiet: whether what agents log is left out.
    init(
        folder: String,
        engine: String,
        models: String,
        memory: ByteCount?,
        arguments more: [String] = [],
        on machines: NamespaceNetwork? = nil,
        isQuiet: Bool = false
    ) {
        self.machines = machines
        self.more = more
        self.isQuiet = Mutex(isQuiet)
        self.memory = memory.map { ["--memory", String($0.bytes)] } ?? []
        self.folder = folder
        self.engine = engine
        self.models = models
        // Addresses and a cluster of its own: a second demo, or an agent that runs on this
        // machine, is not disturbed.
        let number = UInt32.random(in: 0..<(100 << 8))
        cluster = "demo-\(number)"
        let network = 0x7F64_0000 + number << 8
        agents = Self.names.enumerated().map { index, name in
            Member(
                name: name,
                address: machines?.address(of: index) ?? .v4(network + UInt32(index) + 1),
                state: "\(folder)/\(name)"
            )
        }
    }

    func agent(where isFit: (Member) -> Bool) throws -> Member {
        guard let agent = agents.first(where: isFit) else {
            throw CommandFailure("no agent of the demo fits")
        }
        return agent
    }

    func client(_ agent: Member) -> GatewayClient {
        GatewayClient(endpoint: Endpoint(address: agent.address, port: Self.httpPort))
    }

    /// Of the agents that run.
    var processIDs: [Int32] { running.withLock { $0.compactMap(\.pid) } }

    // MARK: - Life

    func start() async throws {
        let ring = KeyRing(.random())
        for (index, agent) in agents.enumerated() {
            // A new demo begins anew: an old state would remember what an old demo wanted.
            try? FileManager.default.removeItem(atPath: agent.state)
            try ClusterKeyFile(stateFolder: agent.state).write(ring)
            let command = ChildCommand(
                executable: ProcessTools.ownPath,
                arguments: [
                    "agent", "--name", agent.name, "--cluster", cluster,
                    "--bind", "\(agent.address)", "--state", agent.state, "--models", models,
                    "--engine", engine, "--seed", "\(agents[0].address)",
                ] + memory + more
            )
            let placed = machines?.command(command, on: index) ?? command
            let process = ChildProcess.start(placed) { [self] event in
                if case .exited = event { ended.withLock { $0.append(agent.name) } }
            }
            running.withLock { $0.append(process) }
            follow(agent)
        }
    }

    /// Ends the agents in order, and does not return before they are gone.
    func stop() async {
        for task in following.withLock({ $0 }) { task.cancel() }
        let processes = running.withLock { $0 }
        guard !processes.isEmpty else { return }
        for process in processes { process.signal(.terminate) }
        let deadline = ContinuousClock.now + Self.stopLimit
        // Not cancellable: whoever pressed Ctrl-C wants nothing left behind.
        await Task.detached { [self] in
            while ended.withLock({ $0.count }) < processes.count {
                if ContinuousClock.now > deadline {
                    for process in processes { process.signal(.kill) }
                }
                try? await Task.sleep(for: .milliseconds(50))
            }
        }.value
    }

    /// Prints what the agent logs, as it does, under its name.
    private func follow(_ agent: Member) {
        var tail = LogTail(
            directory: AgentConfiguration.logFolder(in: agent.state),
            minimumLevel: .info,
            lineCount: 1000
        )
        tail.pollInterval = .milliseconds(40)
        let task = Task { [tail] in
            _ = try? await tail.run(follows: true) { line in
                tell(line.stamped.record, of: agent)
            }
        }
        following.withLock { $0.append(task) }
    }

    private func tell(_ record: LogRecord, of agent: Member) {
        told.withLock { _ = $0[agent.name, default: []].insert(record.id) }
        guard Self.isTold(record), !isQuiet.withLock({ $0 }) else { return }
        // llama-server connects to each worker again and again, which is normal.
        let isFirst = greeted.withLock { $0.insert("\(agent.name) \(record.id)").inserted }
        guard isFirst || !record.id.hasPrefix("engine.rpc.") else { return }
        print("[\(agent.name)] \(record.message)")
        Output.flush()
    }

    /// Waits until the log line was printed, so that the answer that follows stands alone.
    private func waitUntilTold(_ id: String) async throws {
        for _ in 0..<100 where !told.withLock({ $0.values.contains { $0.contains(id) } }) {
            try await Task.sleep(for: .milliseconds(40))
        }
        isQuiet.withLock { $0 = true }
    }

    private static func isTold(_ record: LogRecord) -> Bool {
        ["election.", "worker.", "placement.", "engine."].contains { record.id.hasPrefix($0) }
            || record.level >= .error
    }

    // MARK: - What is shown

    func waitForMaster() async throws -> ClusterStatus {
        let deadline = ContinuousClock.now + Self.formingLimit
        while ContinuousClock.now < deadline {
            if let dead = ended.withLock({ $0.first }) {
                throw CommandFailure(
                    "the agent \(dead) ended; its log is in \(folder)/\(dead)/logs"
                )
            }
            let statuses = await statuses()
            if statuses.count == agents.count, let first = statuses.first, first.master != nil,
                statuses.allSatisfy({ status in
                    status.master == first.master
                        && status.members.count(where: { $0.state == "alive" }) == agents.count
                })
            {
                return first
            }
            try await Task.sleep(for: .milliseconds(200))
        }
        throw CommandFailure(
            "the agents did not agree on a master within \(Self.formingLimit); "
                + "their logs are in \(folder)"
        )
    }

    private func statuses() async -> [ClusterStatus] {
        var statuses: [ClusterStatus] = []
        for agent in agents {
            guard let response = try? await client(agent).get("/api/v1/cluster"),
                let status = try? JSONDecoder().decode(
                    ClusterStatus.self,
                    from: Data(response.body)
                )
            else { continue }
            statuses.append(status)
        }
        return statuses
    }

    /// Launches a model, and returns it when it is ready.
    func launch(_ model: String, through agent: Member) async throws -> ClusterStatus.Model {
        let request = LaunchRequest(model: model, context: nil)
        let client = client(agent)
        let response = try await client.post(
            "/api/v1/launch",
            json: [UInt8](try JSONEncoder().encode(request))
        )
        guard response.status < 300 else { throw CommandFailure(response.text) }
        var shownProgress = -1
        for try await event in client.stream("/api/v1/events") where !event.data.isEmpty {
            let status = try JSONDecoder().decode(
                ClusterStatus.self,
                from: Data(event.data.utf8)
            )
            guard let current = status.model, current.name == model else { continue }
            if let progress = current.progress.map({ Int($0 * 10) }), progress != shownProgress,
                !isQuiet.withLock({ $0 })
            {
                shownProgress = progress
                Step.say("Loading: \(progress * 10) %")
            }
            switch current.phase {
            case "ready":
                try await waitUntilTold("engine.server.listening")
                return current
            case "failed": throw CommandFailure(current.message)
            default: continue
            }
        }
        throw CommandFailure("the agent \(agent.name) ended before the model was ready")
    }

    /// Asks, and prints the answer token by token.
    func ask(_ prompt: String, tokens: Int, through agent: Member) async throws -> Answer {
        struct Message: Codable {
            var role: String
            var content: String
        }
        struct Request: Encodable {
            var messages: [Message]
            var stream = true
            var max_tokens: Int
        }
        struct Chunk: Decodable {
            struct Choice: Decodable { var delta: Delta }
            struct Delta: Decodable { var content: String? }
            struct Failure: Decodable { var message: String }
            var choices: [Choice]?
            var error: Failure?
        }
        let body = try JSONEncoder().encode(
            Request(messages: [Message(role: "user", content: prompt)], max_tokens: tokens)
        )
        var answer = Answer()
        var first: ContinuousClock.Instant?
        let events = client(agent).stream(
            "/v1/chat/completions",
            method: .post,
            body: [UInt8](body)
        )
        for try await event in events where event.data != "[DONE]" {
            let chunk = try JSONDecoder().decode(Chunk.self, from: Data(event.data.utf8))
            if let failure = chunk.error { throw CommandFailure(failure.message) }
            guard let text = chunk.choices?.first?.delta.content, !text.isEmpty else { continue }
            if first == nil { first = .now }
            answer.tokenCount += 1
            Output.write(text)
        }
        // The first token waits for the prompt; the rate is that of those after it.
        if let first, answer.tokenCount > 1 {
            let seconds = (ContinuousClock.now - first).inSeconds
            answer.tokensPerSecond = Double(answer.tokenCount - 1) / max(seconds, 1e-6)
        }
        return answer
    }
}
