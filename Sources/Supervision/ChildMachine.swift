package import Primitives

/// Keeps one child process: starts it, waits until it answers in its own protocol, starts it
/// again with backoff, stops it in order.
///
/// A pure machine; what an exit code means is not trusted (ggml-rpc-server exits 0 for a taken
/// port), only that the process is gone.
package struct ChildMachine: Sendable {
    package let spec: ChildSpec
    package private(set) var state = State.idle

    private var restarts: [Instant] = []
    private var backoff: Duration

    package enum State: Equatable, Sendable {
        case idle
        /// Asked to start; the process id is not known yet.
        case spawning
        case starting(pid: Int32)
        case ready(pid: Int32)
        /// Waiting before another start.
        case backingOff
        case stopping(step: Int, thenStart: Bool)
        case gaveUp
    }

    package init(_ spec: ChildSpec) {
        self.spec = spec
        backoff = spec.backoff
    }

    package mutating func handle(
        _ input: ChildInput,
        at now: Instant,
        effects: inout [ChildEffect]
    ) {
        switch input {
        case .start: start(&effects)
        case .stop: stop(&effects)
        case .started(let pid): started(pid, &effects)
        case .ready: becameReady(&effects)
        case .exited(let end): exited(end, at: now, &effects)
        case .timer(let timer): fired(timer, at: now, &effects)
        }
    }

    private mutating func start(_ effects: inout [ChildEffect]) {
        switch state {
        case .idle, .gaveUp:
            restarts = []
            backoff = spec.backoff
            spawn(&effects)
        case .stopping(let step, _): state = .stopping(step: step, thenStart: true)
        case .spawning, .starting, .ready, .backingOff: break
        }
    }

    private mutating func spawn(_ effects: inout [ChildEffect]) {
        state = .spawning
        effects.append(.spawn)
    }

    private mutating func started(_ pid: Int32, _ effects: inout [ChildEffect]) {
        switch state {
        case .spawning:
            state = .starting(pid: pid)
            effects.append(.emit(.started(pid: pid)))
            effects.append(.setTimer(.probe, after: spec.readinessInterval))
            if let timeout = spec.readinessTimeout {
                effects.append(.setTimer(.readiness, after: timeout))
            }
        case .stopping: effects.append(.terminate)
        case .idle, .starting, .ready, .backingOff, .gaveUp: break
        }
    }

    private mutating func becameReady(_ effects: inout [ChildEffect]) {
        guard case .starting(let pid) = state else { return }
        state = .ready(pid: pid)
        effects += [.cancelTimer(.probe), .cancelTimer(.readiness), .emit(.ready)]
    }

    private mutating func stop(_ effects: inout [ChildEffect]) {
        effects += [
            .cancelTimer(.probe), .cancelTimer(.readiness), .cancelTimer(.backoff),
        ]
        switch state {
        case .idle, .gaveUp: state = .idle
        case .backingOff:
            state = .idle
            effects.append(.emit(.stopped))
        case .stopping(let step, _): state = .stopping(step: step, thenStart: false)
        case .spawning, .starting, .ready:
            state = .stopping(step: 1, thenStart: false)
            effects += [.terminate, .setTimer(.stopStep, after: spec.stopGrace)]
        }
    }

    private mutating func exited(
        _ end: ChildEnd,
        at now: Instant,
        _ effects: inout [ChildEffect]
    ) {
        effects += [
            .cancelTimer(.probe), .cancelTimer(.readiness), .cancelTimer(.stopStep),
        ]
        switch state {
        case .stopping(_, let thenStart):
            state = .idle
            effects.append(.emit(.stopped))
            if thenStart { start(&effects) }
        case .spawning, .starting, .ready:
            switch spec.restart {
            case .temporary:
                state = .idle
                effects.append(.emit(.ended(end)))
            case .permanent: restart(after: end, at: now, &effects)
            }
        case .idle, .backingOff, .gaveUp: break
        }
    }

    private mutating func restart(
        after end: ChildEnd,
        at now: Instant,
        _ effects: inout [ChildEffect]
    ) {
        restarts.removeAll { now - $0 > spec.intensityPeriod }
        if restarts.isEmpty { backoff = spec.backoff }
        guard restarts.count < spec.intensity else {
            state = .gaveUp
            let reason =
                "\(spec.name) ended \(restarts.count + 1) times within "
                + "\(Int(spec.intensityPeriod.inSeconds)) s, last with \(end.text)"
            effects.append(.emit(.gaveUp(reason: reason)))
            return
        }
        restarts.append(now)
        state = .backingOff
        effects.append(.emit(.restarting(after: end, delay: backoff)))
        effects.append(.setTimer(.backoff, after: backoff))
        backoff = min(backoff * 2, spec.backoffLimit)
    }

    private mutating func fired(
        _ timer: ChildTimer,
        at now: Instant,
        _ effects: inout [ChildEffect]
    ) {
        switch (timer, state) {
        case (.backoff, .backingOff): spawn(&effects)
        case (.probe, .starting):
            effects += [.probe, .setTimer(.probe, after: spec.readinessInterval)]
        case (.readiness, .starting):
            // It is there and does not answer: a fresh start may do better. What is counted is
            // the restart that follows the exit.
            effects.append(.kill)
        case (.stopStep, .stopping(let step, let thenStart)):
            // llama-server often deadlocks in a SIGTERM mid-stream; a second one ends it at once.
            state = .stopping(step: step + 1, thenStart: thenStart)
            effects.append(step == 1 ? .terminate : .kill)
            effects.append(.setTimer(.stopStep, after: spec.stopGrace))
        case (.backoff, _), (.probe, _), (.readiness, _), (.stopStep, _): break
        }
    }
}
