import Synchronization
import Testing

/// Counts what went wrong, so that a failing test can tell what its agents said.
enum Failures {
    private static let total = Mutex(0)

    static var count: Int { total.withLock { $0 } }

    @Sendable static func note(_ issue: Issue) -> Issue? {
        total.withLock { $0 += 1 }
        return issue
    }
}
