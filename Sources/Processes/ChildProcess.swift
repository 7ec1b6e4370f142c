internal import CPosix
internal import Subprocess
internal import Synchronization

/// A running program whose events are handed to a callback, as an event loop wants them.
///
/// Its output is always drained: an RPC server whose output nobody reads blocks, and one whose
/// output pipe is closed dies. The child goes on when this object is let go; it ends by itself, by
/// `signal`, or with the agent (`ProcessGuard`).
package final class ChildProcess: Sendable {
    private enum State {
        case starting([ChildSignal])
        case running(pid: Int32)
        case ended
    }

    private let state = Mutex(State.starting([]))

    /// Starts a program; it counts as starting until `.started` or `.exited` arrives.
    ///
    /// `onEvent` is called one event at a time and in order, on threads of the concurrency pool:
    /// it should only hand the event over. `.exited` is the last event and comes exactly once, also
    /// when the program could not be started.
    package static func start(
        _ command: ChildCommand,
        guardedBy guardBinary: ProcessGuard.Binary = .ownExecutable,
        onEvent: @escaping @Sendable (ChildEvent) -> Void
    ) -> ChildProcess {
        let child = ChildProcess()
        Task.detached { await child.run(command, guardBinary, onEvent) }
        return child
    }

    private init() {}

    /// The process id, while the child runs.
    package var pid: Int32? {
        state.withLock { if case .running(let pid) = $0 { pid } else { nil } }
    }

    /// Sends a signal to the child and to all that it started.
    ///
    /// A signal to a child that is still starting is sent once it runs; one to a child that has
    /// ended does nothing.
    package func signal(_ signal: ChildSignal) {
        state.withLock { state in
            switch state {
            case .starting(let waiting): state = .starting(waiting + [signal])
            // Under the lock, so that the process id cannot be given up and reused meanwhile.
            case .running(let pid): _ = caravan_signal_group(pid, signal.number)
            case .ended: break
            }
        }
    }

    private func run(
        _ command: ChildCommand,
        _ guardBinary: ProcessGuard.Binary,
        _ onEvent: @escaping @Sendable (ChildEvent) -> Void
    ) async {
        let report = EventReport(onEvent)
        let run = ChildRun(
            command: command,
            guardBinary: guardBinary,
            onStart: { [self] pid in
                begin(pid)
                report.emit(.started(pid: pid))
            },
            onBytes: { bytes, stream in report.append(bytes, from: stream) },
            onEnd: { [self] in state.withLock { $0 = .ended } }
        )
        let exit = await run.run()
        state.withLock { $0 = .ended }
        report.finish(exit)
    }

    private func begin(_ pid: Int32) {
        state.withLock { state in
            if case .starting(let waiting) = state {
                for signal in waiting { _ = caravan_signal_group(pid, signal.number) }
            }
            state = .running(pid: pid)
        }
    }
}

extension ChildSignal {
    var number: Int32 {
        switch self {
        case .terminate: Signal.terminate.rawValue
        case .kill: Signal.kill.rawValue
        case .suspend: Signal.suspend.rawValue
        case .resume: Signal.resume.rawValue
        }
    }
}

/// Turns the bytes of both streams into events, one at a time.
private final class EventReport: Sendable {
    private struct State {
        var output = LineSplitter()
        var error = LineSplitter()
        /// What the guard said when it could not start the command.
        var complaint: String?
    }

    private let state = Mutex(State())
    private let onEvent: @Sendable (ChildEvent) -> Void

    init(_ onEvent: @escaping @Sendable (ChildEvent) -> Void) {
        self.onEvent = onEvent
    }

    func emit(_ event: ChildEvent) {
        state.withLock { _ in onEvent(event) }
    }

    func append(_ bytes: Span<UInt8>, from stream: ChildStream) {
        state.withLock { state in
            switch stream {
            case .standardOutput:
                for line in state.output.append(bytes) { onEvent(.line(line, stream)) }
            case .standardError:
                for line in state.error.append(bytes) {
                    if let complaint = ProcessGuard.complaint(in: line) {
                        state.complaint = complaint
                    } else {
                        onEvent(.line(line, stream))
                    }
                }
            }
        }
    }

    func finish(_ exit: ChildExit) {
        state.withLock { state in
            if let rest = state.output.finish() { onEvent(.line(rest, .standardOutput)) }
            if let rest = state.error.finish() { onEvent(.line(rest, .standardError)) }
            onEvent(.exited(ProcessGuard.interpret(exit, complaint: state.complaint)))
        }
    }
}

extension ProcessGuard {
    static func complaint(in line: String) -> String? {
        line.hasPrefix(complaintPrefix) ? String(line.dropFirst(complaintPrefix.count)) : nil
    }

    static func interpret(_ exit: ChildExit, complaint: String?) -> ChildExit {
        guard let complaint, exit == .exited(code: failureCode) else { return exit }
        return .couldNotStart(complaint)
    }
}
