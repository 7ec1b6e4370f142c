/// How one way of reaching a member (datagrams to it, or streams to it) has worked lately.
package struct ReachTrials: Equatable, Sendable {
    package private(set) var hasWorked = false
    /// How often in a row it failed since it worked last.
    package private(set) var failureCount = 0
    private var failingSince: Instant?

    /// One failure is an accident, and a device that restarts refuses for a moment.
    package static let failureLimit = 2
    package static let patience: Duration = .seconds(5)

    package init() {}

    package mutating func worked() {
        hasWorked = true
        failureCount = 0
        failingSince = nil
    }

    package mutating func failed(at now: Instant) {
        failureCount += 1
        failingSince = failingSince ?? now
    }

    /// Whether it failed again and again, for a while.
    package func isBroken(at now: Instant) -> Bool {
        guard failureCount >= Self.failureLimit, let failingSince else { return false }
        return now - failingSince >= Self.patience
    }
}
