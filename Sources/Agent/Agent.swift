import CPosix
package import Diagnosis
import Dispatch
import EventLoop
import FoundationEssentials
import Gateway
import LayerPlacement
package import Primitives
import Runtime
import SecureChannel
import Sockets
import Synchronization
package import Telemetry
import Wire

extension Agent {
    /// What a device without an agent can say of its network.
    package static func interfaces() -> [NetworkFacts.Interface] {
        NetworkSurvey.interfaces()
    }
}

/// One agent: everything of it, from its sockets to its dashboard.
package struct Agent: Sendable {
    package let configuration: AgentConfiguration

    package init(_ configuration: AgentConfiguration) {
        self.configuration = configuration
    }

    /// What an agent that runs tells whoever started it.
    package struct Started: Sendable {
        package let node: NodeID
        /// Where other agents reach it.
        package let endpoint: Endpoint
        package let http: Endpoint
    }

    /// Runs until the task is cancelled, or until the device was asked to leave; then stops what it started, says goodbye, and returns.
    ///
    /// - Throws: `AgentProblem` if it cannot start; nothing is left behind then.
    package func run(
        logs: LogPipeline,
        onStart: @escaping @Sendable (Started) -> Void = { _ in }
    ) async throws {
        let ring = try keys()
        let parts = try await AgentParts(configuration, ring: ring, logs: logs)
        defer { parts.closeSockets() }
        warn(logs, parts, ring)
        try await parts.start()
        logs.emit(
            LogRecord(
                "agent.started",
                .notice,
                "Agent \(configuration.name) runs",
                [
                    "node": .text("\(parts.node)"), "address": .text("\(parts.endpoint)"),
                    "http": .text("\(parts.http)"),
                    "engine": .text(parts.engineVersion ?? "none"),
                ]
            )
        )
        let bound = Started(node: parts.node, endpoint: parts.endpoint, http: parts.http)
        let gateway = GatewayServer(
            backend: parts.backend,
            host: "\(configuration.bind)",
            port: configuration.httpPort,
            tokens: TokenStore(TokenFile(stateFolder: configuration.stateFolder)),
            isOpen: configuration.httpIsOpen,
            logger: logs.libraryLogger(label: "gateway"),
            onBound: { _ in onStart(bound) }
        )
        do {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await gateway.run() }
                group.addTask { await parts.backend.untilLeft() }
                defer { group.cancelAll() }
                try await group.next()
            }
        } catch {
            await parts.stop()
            throw error
        }
        await parts.stop()
        logs.emit(LogRecord("agent.stopped", .notice, "Agent \(configuration.name) stopped"))
    }

    /// The cluster's keys; nil for an agent that runs open, as it was told to.
    private func keys() throws(AgentProblem) -> KeyRing? {
        if configuration.isOpen { return nil }
        let file = ClusterKeyFile(stateFolder: configuration.stateFolder)
        if let ring = try file.read() { return ring }
        throw AgentProblem(
            """
            This device belongs to no cluster yet. Choose one:
              caravan init        makes a new cluster, and a code for your other devices
              caravan join CODE   joins the cluster of the device that printed the code
            (On a network where you trust everybody, caravan agent --open runs without a key.)
            """
        )
    }

    private func warn(_ logs: LogPipeline, _ parts: AgentParts, _ ring: KeyRing?) {
        if ring == nil {
            logs.emit(
                LogRecord(
                    "agent.open",
                    .warning,
                    "This agent runs OPEN: whoever reaches \(parts.endpoint) can join the cluster, "
                        + "read prompts and use this device. Use it on networks that you trust "
                        + "only.",
                    ["address": .text("\(parts.endpoint)")]
                )
            )
        }
        guard parts.exposure == .direct, configuration.exposure == .direct else { return }
        logs.emit(
            LogRecord(
                "agent.direct",
                .warning,
                "The RPC server of this device listens for EVERYBODY while a model runs, without "
                    + "any check, because of --exposure direct. Use it on networks that you trust "
                    + "only.",
                ["port": .integer(Int64(configuration.rpcPort))]
            )
        )
    }
}
