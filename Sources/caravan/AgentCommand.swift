import Agent
import ArgumentParser
import FoundationEssentials
import Primitives
import Processes
import Telemetry

extension Exposure: ExpressibleByArgument {}

struct AgentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "agent",
        abstract: "Run this device's agent.",
        discussion: """
            An agent takes part in the cluster whose key its state folder has: caravan init makes \
            one, caravan join takes one over. Agents on one network find each other by \
            themselves; where multicast is blocked, name any one of them with --seed. Several \
            agents live on one machine on different loopback addresses, each with a state folder \
            of its own:
              caravan agent --open --name a --bind 127.0.0.2 --state /tmp/a
              caravan agent --open --name b --bind 127.0.0.3 --state /tmp/b --seed 127.0.0.2:52414
            """
    )

    @Option(help: "What this device is called; default is its host name.")
    var name: String?

    @Option(help: "Agents of other clusters on the same network are not seen.")
    var cluster = "caravan"

    @Option(
        help: ArgumentHelp(
            "The address to listen on, as 192.168.1.7 or fe80::7%wlan0; default is all of them.",
            valueName: "address"
        )
    )
    var bind: String?

    @Option(help: ArgumentHelp("Where this agent keeps its identity and logs.", valueName: "dir"))
    var state = Folders.state

    @Option(help: ArgumentHelp("Where GGUF models are.", valueName: "dir"))
    var models = Folders.models

    @Option(
        help: ArgumentHelp(
            "An agent to ask first, again and again; may be given several times.",
            valueName: "address:port"
        )
    )
    var seed: [String] = []

    @Option(
        help: ArgumentHelp(
            "Where llama.cpp's binaries are; default is to look in the usual places.",
            valueName: "dir"
        )
    )
    var engine: String?

    @Option(help: "For other agents, UDP and TCP.")
    var agentPort = AgentConfiguration.agentPort

    @Option(help: "For people and OpenAI clients.")
    var httpPort = AgentConfiguration.httpPort

    @Option(help: "For ggml-rpc-server.")
    var rpcPort = AgentConfiguration.rpcPort

    @Option(help: "For llama-server, on this machine only.")
    var llamaPort = AgentConfiguration.llamaPort

    @Option(
        help: ArgumentHelp(
            "Offer this much instead of what is measured, as 2GiB.",
            valueName: "amount"
        )
    )
    var memory: String?

    @Option(
        help: ArgumentHelp(
            """
            How much disk may keep weights that came over the network, so that they travel once; \
            as 10GiB, 0 for none. Default is a quarter of what is free, at most 20 GiB.
            """,
            valueName: "amount"
        )
    )
    var cacheLimit: String?

    @Flag(
        inversion: .prefixedNo,
        help: "Look for other agents by multicast and broadcast."
    )
    var discovery = true

    @Flag(help: "Run without a cluster key: whoever reaches this agent can join and use it.")
    var open = false

    @Option(
        help: ArgumentHelp(
            """
            What happens when the network splits: with 'available' every side has a master and \
            serves; with 'quorum' at most one side has. The same on all agents.
            """,
            valueName: "available|quorum"
        )
    )
    var policy = "available"

    @Option(
        help: ArgumentHelp(
            "How the master reaches this device's RPC server, which checks nobody: through the "
                + "agent (relay, the default with a key) or at its own port, open to the whole "
                + "network (direct, the default with --open).",
            valueName: "relay|direct"
        )
    )
    var exposure: Exposure?

    @Flag(help: "Let whoever reaches the HTTP port use it without a token.")
    var httpOpen = false

    @Option(help: "trace, debug, info, notice, warning, error or critical.")
    var logLevel = "info"

    @Flag(help: "Write to systemd-journald too (builds with the trait Journald).")
    var journald = false

    func run() async throws {
        let configuration = try agentConfiguration()
        var logs = LogConfiguration(agentName: configuration.name)
        logs.level = configuration.logLevel
        logs.file = LogFileConfiguration(directory: configuration.logFolder)
        logs.usesJournald = journald
        // Under systemd standard error is the journal too: everything would stand there twice.
        if journald, ProcessInfo.processInfo.environment["JOURNAL_STREAM"] != nil {
            logs.terminal = .off
        }
        let pipeline = try LogSetup.bootstrap(logs)
        defer { pipeline.close() }
        try await Signals.run {
            try await Agent(configuration).run(logs: pipeline)
        }
    }

    private func agentConfiguration() throws -> AgentConfiguration {
        guard let level = LogLevel(rawValue: logLevel) else {
            let names = LogLevel.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--log-level takes one of \(names), not '\(logLevel)'")
        }
        var configuration = AgentConfiguration(
            name: name ?? HostName.current,
            stateFolder: Folders.absolute(state),
            modelsFolder: Folders.absolute(models),
            engineInstallFolder: Folders.engine
        )
        guard !configuration.name.isEmpty,
            configuration.name.utf8.count <= DeviceFacts.nameByteLimit
        else {
            throw ValidationError(
                "--name takes 1 to \(DeviceFacts.nameByteLimit) bytes of text"
            )
        }
        configuration.cluster = cluster
        if let bind, !configuration.listen(on: bind) {
            throw ValidationError(
                "--bind takes an address of this device such as 192.168.1.7, not '\(bind)'"
            )
        }
        configuration.agentPort = agentPort
        configuration.httpPort = httpPort
        configuration.rpcPort = rpcPort
        configuration.llamaPort = llamaPort
        configuration.engineFolder = engine.map(Folders.absolute)
        configuration.discovers = discovery
        configuration.isOpen = open
        guard configuration.choosePolicy(named: policy) else {
            throw ValidationError("--policy takes available or quorum, not '\(policy)'")
        }
        configuration.exposure = exposure
        configuration.httpIsOpen = httpOpen
        configuration.logLevel = level
        configuration.seeds = try seed.map { text in
            guard
                let endpoint = AgentConfiguration.endpoint(
                    text,
                    defaultPort: AgentConfiguration.agentPort
                )
            else {
                throw ValidationError(
                    "--seed takes an agent's address and port, as 192.168.1.7:52414, not '\(text)'"
                )
            }
            return endpoint
        }
        configuration.cacheLimit = try cacheLimit.map { text in
            guard let amount = ByteCount(text) else {
                throw ValidationError("--cache-limit takes an amount as 10GiB, not '\(text)'")
            }
            return amount
        }
        configuration.memory = try memory.map { text in
            guard let amount = ByteCount(text), amount > .zero else {
                throw ValidationError("--memory takes an amount as 2GiB or 512MiB, not '\(text)'")
            }
            return amount
        }
        return configuration
    }
}
