import FoundationEssentials
import EngineStore
import Primitives
import Runtime
import SecureChannel
import Telemetry

// Who this agent is, and which llama.cpp it runs.
extension AgentParts {
    /// A device with a key is known by it; what was remembered under another identity (of a time
    /// without a key, say) is not its own, but for what the cluster wants and who was there.
    static func identity(
        in folder: StateFolder,
        _ device: DeviceIdentity?,
        _ logs: LogPipeline
    ) -> (NodeID, DurableRecord) {
        let (node, record) = storedIdentity(in: folder, logs)
        guard let own = device?.node, own != node else { return (node, record) }
        var fresh = DurableRecord()
        fresh.wanted = record.wanted
        fresh.peers = record.peers
        return (own, fresh)
    }

    private static func storedIdentity(
        in folder: StateFolder,
        _ logs: LogPipeline
    ) -> (NodeID, DurableRecord) {
        switch folder.load() {
        case .record(let node, let record): return (node, record)
        case .nothing: break
        case .damaged(let aside, let reason):
            logs.emit(
                LogRecord(
                    "agent.state.damaged",
                    .error,
                    "The saved state cannot be trusted (\(reason)); this device takes a new "
                        + "identity. The old state was put aside.",
                    ["path": .text(aside), "reason": .text(reason)]
                )
            )
        }
        var generator = SystemRandomNumberGenerator()
        return (NodeID(using: &generator), DurableRecord())
    }

    static func findEngine(
        _ configuration: AgentConfiguration,
        _ logs: LogPipeline
    ) async -> Engine? {
        do {
            return try await EngineLocator(
                explicitFolder: configuration.engineFolder,
                installFolder: configuration.engineInstallFolder,
                environment: ProcessInfo.processInfo.environment
            ).locate()
        } catch {
            logs.emit(
                LogRecord(
                    "agent.engine.missing",
                    .warning,
                    "This agent can be neither worker nor master of a model: \(error)",
                    ["reason": .text("\(error)")]
                )
            )
            return nil
        }
    }
}
