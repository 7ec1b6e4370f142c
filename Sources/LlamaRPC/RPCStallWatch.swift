package import Primitives

/// Judges whether an RPC server hangs: it owes something, no byte moves, and its process does not
/// compute.
///
/// How long a computation takes says nothing: a long prompt on a slow device takes minutes. What
/// says something is a process that is stopped or sleeps while a client waits for it.
package struct RPCStallWatch: Sendable {
    /// What the server's process does, as its system says.
    package enum Process: Equatable, Sendable {
        /// Processor time of all its threads so far.
        case hasComputed(Duration)
        /// By a signal or a debugger: nothing goes on, for sure.
        case isStopped
        /// For a disk, a swapped page: slow, not hung.
        case waitsForDisk
        /// Nothing can be said: then nothing is judged.
        case isUnknown
    }

    /// How long a client waits for a process that uses no processor.
    private let idleLimit: Duration
    private let stoppedLimit: Duration
    private var quiet: Quiet?

    private struct Quiet {
        var since: Instant
        var movedByteCount: UInt64
        var process: Process
    }

    package static let idleLimit: Duration = .seconds(2)
    /// A processor sleeps while a graphics processor computes, so sleep says little there.
    package static let acceleratedIdleLimit: Duration = .seconds(60)
    package static let checkInterval: Duration = .milliseconds(250)

    package init(
        idleLimit: Duration = Self.idleLimit,
        stoppedLimit: Duration = Self.idleLimit
    ) {
        self.idleLimit = idleLimit
        self.stoppedLimit = stoppedLimit
    }

    /// Looks at the connection; true if the server hangs.
    ///
    /// - Parameters:
    ///   - owes: whether it is the server's turn: a request waits for its answer or its reading.
    ///   - movedByteCount: of all bytes in both directions so far.
    ///   - process: asked for only while the server owes something.
    package mutating func isStalled(
        owes: Bool,
        movedByteCount: UInt64,
        process: () -> Process,
        at now: Instant
    ) -> Bool {
        guard owes else {
            quiet = nil
            return false
        }
        let process = process()
        guard let quiet, quiet.movedByteCount == movedByteCount else {
            quiet = Quiet(since: now, movedByteCount: movedByteCount, process: process)
            return false
        }
        switch process {
        case .isUnknown, .waitsForDisk: break
        case .hasComputed(let time):
            if case .hasComputed(time) = quiet.process { return now - quiet.since >= idleLimit }
        case .isStopped:
            if quiet.process != .isUnknown, quiet.process != .waitsForDisk {
                // What it computed before it was stopped does not matter.
                self.quiet?.process = .isStopped
                return now - quiet.since >= stoppedLimit
            }
        }
        self.quiet = Quiet(since: now, movedByteCount: movedByteCount, process: process)
        return false
    }
}
