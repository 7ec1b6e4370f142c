import CPosix
import EventLoop
import Gateway
import Primitives
import Runtime
import Synchronization
import Telemetry

/// Hears what happens in an agent: logs it, counts what was refused, tells followers.
final class AgentObserver: CoreObserver {
    let hub = StatusHub()
    private let node: NodeID
    private let cluster: String
    private let pipeline: LogPipeline
    private let loop: any AgentLoop
    private let state: Mutex<State>

    private struct State {
        var refusals = RefusalLog()
        var warnings: [String]
        var isPublishing = false
        var core: AgentCore?
        var onGoodbye: (@Sendable () -> Void)?
    }

    /// How long changes are collected before followers hear of them.
    private static let publishDelay: Duration = .milliseconds(50)

    init(
        node: NodeID,
        cluster: String,
        pipeline: LogPipeline,
        loop: any AgentLoop,
        warnings: [String]
    ) {
        self.node = node
        self.cluster = cluster
        self.pipeline = pipeline
        self.loop = loop
        state = Mutex(State(warnings: warnings))
    }

    func observe(_ core: AgentCore) {
        state.withLock { $0.core = core }
    }

    func log(_ record: LogRecord) {
        pipeline.emit(record)
    }

    func refused(_ reason: String, detail: String) {
        let now = Instant(nanoseconds: telemetry_monotonic_nanoseconds())
        let verdict = state.withLock { $0.refusals.count(reason, at: now) }
        guard case .say(let reason, let total, let sinceLast) = verdict else { return }
        pipeline.emit(
            LogRecord(
                "agent.refused",
                .warning,
                "Refused \(reason): \(detail)",
                [
                    "reason": .text(reason), "total": .integer(Int64(clamping: total)),
                    "sinceLast": .integer(Int64(clamping: sinceLast)),
                ]
            )
        )
    }

    func changed() {
        let core = state.withLock { state -> AgentCore? in
            guard !state.isPublishing, hub.hasFollowers else { return nil }
            state.isPublishing = true
            return state.core
        }
        guard let core else { return }
        loop.schedule(after: Self.publishDelay) { [self] in
            state.withLock { $0.isPublishing = false }
            publish(core)
        }
    }

    /// Called on the loop.
    func publish(_ core: AgentCore) {
        hub.publish(status(of: core))
    }

    func status(of core: AgentCore) -> ClusterStatus {
        let (refused, warnings) = state.withLock { state in
            (
                Dictionary(
                    state.refusals.totals.map { ($0.reason, $0.total) },
                    uniquingKeysWith: { first, _ in first }
                ), state.warnings
            )
        }
        return core.snapshot().status(
            own: node,
            cluster: cluster,
            refused: refused,
            warnings: warnings
        )
    }

    func whenGoodbyeSpread(_ action: @escaping @Sendable () -> Void) {
        state.withLock { $0.onGoodbye = action }
    }

    func goodbyeSpread() {
        state.withLock { state in
            defer { state.onGoodbye = nil }
            return state.onGoodbye
        }?()
    }
}
