internal import Synchronization

/// What a program that ran to its end has left.
package struct ChildOutput: Sendable, Hashable {
    package var exit: ChildExit
    /// The start of what it wrote, invalid UTF-8 repaired.
    package var standardOutput: String
    package var standardError: String
    /// Whether a stream was longer than the limit, and its rest was dropped.
    package var isCut: Bool
}

package enum ChildOutputError: Error, Sendable, Hashable {
    case couldNotStart(program: String, reason: String)
    case timedOut(program: String, after: Duration)
}

extension ChildOutputError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .couldNotStart(let program, let reason): "could not start \(program): \(reason)"
        case .timedOut(let program, let limit): "\(program) did not end within \(limit)"
        }
    }
}

/// Runs a program to its end, and returns how it ended and what it wrote.
///
/// A program that takes longer than `timeout`, or whose caller is cancelled, is killed together
/// with all that it started. An exit code other than zero is no error here.
package func runForOutput(
    _ command: ChildCommand,
    guardedBy guardBinary: ProcessGuard.Binary = .ownExecutable,
    timeout: Duration,
    outputLimit: Int = 1 << 20
) async throws -> ChildOutput {
    let collector = OutputCollector(limit: outputLimit)
    let exit = try await withThrowingTaskGroup(of: ChildExit?.self) { group in
        group.addTask {
            await ChildRun(
                command: command,
                guardBinary: guardBinary,
                onStart: { _ in },
                onBytes: { bytes, stream in collector.append(bytes, stream) },
                onEnd: {}
            ).run()
        }
        group.addTask {
            try? await Task.sleep(for: timeout)
            return nil
        }
        // Cancelling the run kills the child; the group then waits until it is gone.
        defer { group.cancelAll() }
        if let exit = try await group.next() ?? nil { return exit }
        try Task.checkCancellation()
        throw ChildOutputError.timedOut(program: command.executable, after: timeout)
    }
    try Task.checkCancellation()
    var output = collector.output(exit)
    let complaint = output.standardError.split(separator: "\n").lazy
        .compactMap { ProcessGuard.complaint(in: String($0)) }.first
    output.exit = ProcessGuard.interpret(exit, complaint: complaint)
    if case .couldNotStart(let reason) = output.exit {
        throw ChildOutputError.couldNotStart(program: command.executable, reason: reason)
    }
    return output
}

/// The start of what a program wrote, from two reading tasks.
private final class OutputCollector: Sendable {
    private struct State {
        var output: [UInt8] = []
        var error: [UInt8] = []
        var isCut = false
    }

    private let limit: Int
    private let state = Mutex(State())

    init(limit: Int) {
        self.limit = limit
    }

    func append(_ bytes: Span<UInt8>, _ stream: ChildStream) {
        state.withLock { state in
            let fits =
                switch stream {
                case .standardOutput: append(bytes, to: &state.output)
                case .standardError: append(bytes, to: &state.error)
                }
            if !fits { state.isCut = true }
        }
    }

    func output(_ exit: ChildExit) -> ChildOutput {
        state.withLock { state in
            ChildOutput(
                exit: exit,
                standardOutput: String(decoding: state.output, as: UTF8.self),
                standardError: String(decoding: state.error, as: UTF8.self),
                isCut: state.isCut
            )
        }
    }

    private func append(_ bytes: Span<UInt8>, to buffer: inout [UInt8]) -> Bool {
        let room = min(bytes.count, limit - buffer.count)
        for index in 0..<room { buffer.append(bytes[index]) }
        return room == bytes.count
    }
}
