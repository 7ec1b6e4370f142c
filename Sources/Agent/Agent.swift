import CPosix
package import Diagnosis
import Dispatch
import EventLoop
import FoundationEssentials
import Gateway
import LayerPlacement
package import Primitives
import Runtime
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
        guard configuration.isOpen else {
            throw AgentProblem(
                "This agent has no cluster key yet, so everybody on its network could join, see "
                    + "prompts and use its memory. Start it with --open if you trust the network."
            )
        }
        let parts = try await AgentParts(configuration, logs: logs)
        defer { parts.closeSockets() }
        logs.emit(
            LogRecord(
                "agent.open",
                .warning,
                "This agent runs OPEN: whoever reaches \(parts.endpoint) can join the cluster, read "
                    + "prompts and use this device. Use it on networks that you trust only.",
                ["address": .text("\(parts.endpoint)")]
            )
        )
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
}
