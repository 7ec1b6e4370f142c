import CPosix
import Diagnosis
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

    fileprivate struct State {
        var refusals = RefusalLog()
        var warnings: [String]
        var isPublishing = false
        var core: AgentCore?
        var onGoodbye: (@Sendable () -> Void)?
        var survey: NetworkSurvey?
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

    /// From then on problems of the network are among the warnings.
    func observe(_ survey: NetworkSurvey) {
        state.withLock { $0.survey = survey }
    }

    /// What is known of the network; called on the loop.
    ///
    /// Nil before there is an agent.
    func network() -> NetworkFacts? {
        let (survey, refused) = state.withLock { ($0.survey, $0.refused) }
        return survey?.facts(refused: refused)
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
        let (refused, warnings) = state.withLock { ($0.refused, $0.warnings) }
        let findings = network().map(NetworkDiagnosis.findings) ?? []
        let problems = findings.filter { $0.weight == .problem }.map {
            "\($0.what) More: caravan doctor network"
        }
        return core.snapshot().status(
            own: node,
            cluster: cluster,
            refused: refused,
            warnings: warnings + problems
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

extension AgentObserver.State {
    fileprivate var refused: [String: UInt64] {
        Dictionary(
            refusals.totals.map { ($0.reason, $0.total) },
            uniquingKeysWith: { first, _ in first }
        )
    }
}
