import LayerPlacement
import Primitives
import SWIM

// The six phases of a launch, in the reference document's words.
extension LaunchEvent {
    func records(names: [Member]) -> [LogRecord] {
        switch self {
        case .wants(let state):
            [
                LogRecord(
                    "placement.wanted",
                    .info,
                    state.model.map { "The cluster wants \($0.name)" }
                        ?? "The cluster wants no model",
                    [
                        "model": .text(state.model?.name ?? ""),
                        "version": .integer(Int64(state.version)),
                    ]
                )
            ]
        case .phase(let phase, let session):
            [
                LogRecord(
                    "placement.phase",
                    phase == .ready ? .notice : .info,
                    phase.sentence,
                    [
                        "phase": .text(phase.name), "number": .integer(Int64(phase.number)),
                        "session": .integer(Int64(session.number)),
                    ]
                )
            ]
        case .workerReady(let node, let endpoint):
            [
                LogRecord(
                    "placement.worker.ready",
                    .info,
                    "Worker \(endpoint): READY",
                    [
                        "node": .text("\(node)"), "name": .text(names.name(of: node)),
                        "endpoint": .text("\(endpoint)"),
                    ]
                )
            ]
        case .workerLeftOut(let node, let reason):
            [
                LogRecord(
                    "placement.worker.leftOut",
                    .warning,
                    "Going on without worker \(names.name(of: node)): \(reason)",
                    ["node": .text("\(node)"), "reason": .text(reason)]
                )
            ]
        case .checking(let count):
            [
                LogRecord(
                    "placement.workers.checking",
                    .info,
                    "Checking connectivity to \(count) RPC worker(s)...",
                    ["workers": .integer(Int64(count))]
                )
            ]
        case .allReady(let count, let duration):
            [
                LogRecord(
                    "placement.workers.ready",
                    .info,
                    "All \(count) RPC workers ready after \(duration.wholeSeconds)s",
                    [
                        "workers": .integer(Int64(count)),
                        "milliseconds": .integer(duration.wholeMilliseconds),
                    ]
                )
            ]
        case .starting(let launch, let shares): Self.startingRecords(launch, shares, names)
        case .loaded(let duration):
            [
                LogRecord(
                    "placement.loaded",
                    .notice,
                    "DETECTED: Model loaded successfully!",
                    ["milliseconds": .integer(duration.wholeMilliseconds)]
                ),
                LogRecord("placement.ready", .notice, "DISTRIBUTED LLAMA-SERVER READY"),
            ]
        case .failed(let reason, let retry):
            [
                LogRecord(
                    "placement.failed",
                    .error,
                    "The launch failed: \(reason)",
                    [
                        "reason": .text(reason),
                        "retrySeconds": .integer(retry?.wholeSeconds ?? 0),
                    ]
                )
            ]
        case .replacing(let reason):
            [
                LogRecord(
                    "placement.replacing",
                    .warning,
                    "Placing the model anew: \(reason)",
                    ["reason": .text(reason)]
                )
            ]
        case .stopped: [LogRecord("placement.stopped", .info, "The model is not run any more")]
        case .progressChanged, .transfersChanged: []
        }
    }

    private static func startingRecords(
        _ launch: ServerLaunch,
        _ shares: [DeviceShare],
        _ names: [Member]
    ) -> [LogRecord] {
        let ranges = shares.map { share in
            LogValue.text("\(names.name(of: share.node)): \(share.first)..<\(share.end)")
        }
        return [
            LogRecord(
                "placement.server.starting",
                .info,
                "Starting llama-server with distributed inference...",
                [
                    "model": .text(launch.model.name),
                    "context": .integer(Int64(launch.model.context)),
                    "workers": .list(launch.workers.map { .text("\($0)") }),
                    "tensorSplit": .text(launch.tensorSplit), "layers": .list(ranges),
                ]
            )
        ]
    }
}

extension LaunchPhase {
    /// The reference document's phase 1…6; 0 outside them.
    fileprivate var number: Int {
        switch self {
        case .waitingForMaster, .failed: 0
        case .startingWorkers: 1
        case .checkingWorkers: 2
        case .startingServer: 3
        case .handshake: 4
        case .loading: 5
        case .ready: 6
        }
    }

    fileprivate var sentence: String {
        switch self {
        case .waitingForMaster: "Waiting for a master"
        case .startingWorkers: "Phase 1: Worker RPC Servers Start"
        case .checkingWorkers: "Phase 2: Master Verifies Workers"
        case .startingServer: "Phase 3: Master Starts llama-server"
        case .handshake: "Phase 4: RPC Handshake"
        case .loading: "Phase 5: Tensor Distribution"
        case .ready: "Phase 6: Ready!"
        case .failed: "The launch failed"
        }
    }
}

extension Duration {
    fileprivate var wholeSeconds: Int64 { components.seconds }
}
