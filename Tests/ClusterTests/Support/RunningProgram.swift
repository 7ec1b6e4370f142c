import Processes
import Synchronization

/// A program that a test started: what it wrote, and how it ended.
final class RunningProgram: Sendable {
    private struct State {
        var lines: [String] = []
        var exit: ChildExit?
    }

    /// Enough to see why something failed.
    private static let lineLimit = 5000

    private let state = Mutex(State())
    private let process = Mutex<ChildProcess?>(nil)

    init(_ command: ChildCommand) {
        let child = ChildProcess.start(command, guardedBy: Built.guardBinary) { [weak self] event in
            self?.happened(event)
        }
        process.withLock { $0 = child }
    }

    private func happened(_ event: ChildEvent) {
        state.withLock { state in
            switch event {
            case .started: break
            case .line(let line, _):
                if state.lines.count == Self.lineLimit { state.lines.removeFirst() }
                state.lines.append(line)
            case .exited(let exit): state.exit = exit
            }
        }
    }

    /// The process id, while it runs.
    var pid: Int32? { process.withLock { $0?.pid } }
    var lines: [String] { state.withLock { $0.lines } }
    var exit: ChildExit? { state.withLock { $0.exit } }

    func signal(_ signal: ChildSignal) {
        process.withLock { $0?.signal(signal) }
    }

    /// How it ended, once it has.
    func end(within limit: Duration = .seconds(20)) async throws -> ChildExit {
        try await wait("a program ends", within: limit, every: .milliseconds(10)) { exit != nil }
        guard let exit else { throw Problem("a program did not end") }
        return exit
    }
}
