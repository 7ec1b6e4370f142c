import Foundation
import Gateway
import Namespaces
import Primitives
import Processes
import Synchronization

/// One agent of a test: a process of its own, on an address of its own.
final class TestAgent: Sendable {
    static let agentPort: UInt16 = 52414
    static let httpPort: UInt16 = 52415
    static let rpcPort: UInt16 = 60000
    static let llamaPort: UInt16 = 8080

    let name: String
    let address: IPAddress
    let folder: String
    private let arguments: [String]
    /// Whether it runs without a key.
    private let isOpen: Bool
    private let program = Mutex<RunningProgram?>(nil)

    init(
        name: String,
        address: IPAddress,
        folder: String,
        isOpen: Bool = true,
        arguments: [String]
    ) {
        self.isOpen = isOpen
        self.name = name
        self.address = address
        self.folder = folder
        self.arguments = arguments
    }

    // MARK: - Its process

    /// - Parameter more: for its command line, this time.
    func start(_ more: [String] = []) {
        let bind: String? =
            switch machine.withLock({ $0 })?.place {
            case nil, .address: "\(address)"
            case .inside(let bind): bind
            }
        let running = launched(
            ChildCommand(
                executable: Built.caravan,
                arguments: ["agent", "--name", name] + (bind.map { ["--bind", $0] } ?? [])
                    + ["--state", folder] + arguments + more + (isOpen ? ["--open"] : []),
                environment: ["CARAVAN_ENGINE": nil, "LLAMA_CACHE": nil]
            )
        )
        program.withLock { $0 = running }
    }

    var running: RunningProgram? { program.withLock { $0 } }
    var pid: Int32? { running?.pid }

    /// As `kill -9`: without any chance to say goodbye.
    func kill() { running?.signal(.kill) }

    /// As Ctrl-C or a service manager do.
    func terminate() { running?.signal(.terminate) }

    /// llama.cpp's programs that this agent runs now.
    var children: [ProcessTable.Entry] {
        pid.map(ProcessTable.descendants) ?? []
    }

    var rpcServers: [ProcessTable.Entry] {
        children.filter { $0.command.contains("ggml-rpc-server") }
    }

    var llamaServers: [ProcessTable.Entry] {
        children.filter { $0.command.contains("llama-server") }
    }

    // MARK: - What it says

    func endpoint(_ port: UInt16) -> Endpoint { Endpoint(address: address, port: port) }
    var agentEndpoint: Endpoint { endpoint(Self.agentPort) }

    var client: GatewayClient { GatewayClient(endpoint: endpoint(Self.httpPort)) }

    /// llama-server on this device, as only its agent asks it.
    var llama: GatewayClient { GatewayClient(endpoint: endpoint(Self.llamaPort)) }

    func status() async throws -> ClusterStatus {
        if machine.withLock({ $0 }) != nil { return try await statusThere() }
        let response = try await client.get("/api/v1/cluster", timeLimit: .seconds(5))
        guard response.status == 200 else { throw Problem("\(name) says \(response.text)") }
        return try JSONDecoder().decode(ClusterStatus.self, from: Data(response.body))
    }

    // MARK: - Its machine

    /// A node of a network of namespaces.
    struct Machine {
        let network: NamespaceNetwork
        let node: Int
        var place = NamespaceCluster.Place.address
    }

    /// Nil for this one.
    private let machine = Mutex<Machine?>(nil)

    /// It will run in a namespace; to be said before it starts.
    func place(on machine: Machine) { self.machine.withLock { $0 = machine } }

    private func launched(_ command: ChildCommand) -> RunningProgram {
        let machine = machine.withLock { $0 }
        return RunningProgram(
            machine.map { $0.network.command(command, on: $0.node) } ?? command
        )
    }

    /// As `caravan status` tells it, which runs where the address means something.
    private func statusThere() async throws -> ClusterStatus {
        let output = try await asked(["status", "--json"])
        guard output.exit.isSuccess else { throw Problem(output.standardError) }
        return try JSONDecoder().decode(
            ClusterStatus.self,
            from: Data(output.standardOutput.utf8)
        )
    }

    /// Runs `caravan`, which asks this agent, where its address means something.
    func asked(
        _ words: [String],
        timeout: Duration = .seconds(10)
    ) async throws -> ChildOutput {
        try await runForOutput(
            asking(Built.caravan, words) { ["--host", $0] },
            guardedBy: Built.guardBinary,
            timeout: timeout
        )
    }

    /// A program that asks this agent, where its address means something.
    ///
    /// - Parameter last: the last words, which say where the agent is.
    func asking(
        _ program: String,
        _ words: [String],
        _ last: (_ address: String) -> [String]
    ) -> ChildCommand {
        let machine = machine.withLock { $0 }
        guard case .inside(let bind) = machine?.place else {
            let command = ChildCommand(
                executable: program,
                arguments: words + last("\(address)")
            )
            return machine?.network.hubCommand(command) ?? command
        }
        let command = ChildCommand(
            executable: program,
            arguments: words + last(bind ?? "127.0.0.1")
        )
        return machine.map { $0.network.command(command, on: $0.node) } ?? command
    }

    /// A line of its log file.
    struct LogLine: Decodable {
        var id: String
        var level: String
        var message: String
        /// Only the fields that are text, and those that are whole numbers.
        var texts: [String: String]
        var integers: [String: Int]

        private enum Key: CodingKey { case id, level, message, fields }

        init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: Key.self)
            id = try container.decode(String.self, forKey: .id)
            level = try container.decode(String.self, forKey: .level)
            message = try container.decode(String.self, forKey: .message)
            let fields = try container.decodeIfPresent([String: Field].self, forKey: .fields)
            texts = (fields ?? [:]).compactMapValues(\.text)
            integers = (fields ?? [:]).compactMapValues(\.integer)
        }

        private struct Field: Decodable {
            var text: String?
            var integer: Int?

            init(from decoder: any Decoder) throws {
                text = try? decoder.singleValueContainer().decode(String.self)
                integer = try? decoder.singleValueContainer().decode(Int.self)
            }
        }
    }

    /// Its log file; lines that are no records are left out.
    var log: [LogLine] {
        let data = FileManager.default.contents(atPath: folder + "/logs/agent.jsonl") ?? Data()
        return data.split(separator: UInt8(ascii: "\n")).compactMap { line in
            try? JSONDecoder().decode(LogLine.self, from: line)
        }
    }
}
