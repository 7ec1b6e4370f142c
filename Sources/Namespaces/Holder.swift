import FoundationEssentials
import Processes
import Synchronization

/// A process that does nothing but keep a network namespace open.
final class Holder: Sendable {
    private static let startLimit: Duration = .seconds(10)

    let pid: Int32
    private let child: ChildProcess
    private let exits: AsyncStream<ChildExit>

    private init(_ child: ChildProcess, pid: Int32, exits: AsyncStream<ChildExit>) {
        self.child = child
        self.pid = pid
        self.exits = exits
    }

    /// Starts a holder; returns once it is in its own namespace.
    ///
    /// - Parameter prefix: what brings it there and turns into the command behind it.
    static func start(
        _ prefix: [String],
        guardedBy guardBinary: ProcessGuard.Binary
    ) async throws -> Holder {
        let (exits, continuation) = AsyncStream.makeStream(of: ChildExit.self)
        let said = Mutex("")
        let child = ChildProcess.start(
            Shell.command(prefix + ["sleep", "infinity"]),
            guardedBy: guardBinary
        ) { event in
            switch event {
            case .started: break
            case .line(let line, _): said.withLock { $0 = line }
            case .exited(let exit):
                continuation.yield(exit)
                continuation.finish()
            }
        }
        let deadline = ContinuousClock.now + startLimit
        while ContinuousClock.now < deadline {
            // `sleep` is what the last of the prefix turns into, already in its namespace.
            if let pid = child.pid, Self.program(of: pid) == "sleep" {
                return Holder(child, pid: pid, exits: exits)
            }
            try await Task.sleep(for: .milliseconds(2))
        }
        child.signal(.kill)
        throw NamespaceError.refused(said.withLock { $0 })
    }

    func end() async {
        child.signal(.kill)
        // Not cut short when the work was: the namespace must be gone.
        await Task.detached { [exits] in
            for await _ in exits {}
        }.value
    }

    private static func program(of pid: Int32) -> String? {
        guard let bytes = FileManager.default.contents(atPath: "/proc/\(pid)/comm") else {
            return nil
        }
        let text = String(decoding: bytes, as: UTF8.self)
        return text.hasSuffix("\n") ? String(text.dropLast()) : text
    }
}
