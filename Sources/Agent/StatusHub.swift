import Gateway
import Synchronization

/// Hands the newest status to whoever follows it; a slow follower skips, never queues.
final class StatusHub: Sendable {
    private struct State {
        var followers: [UInt64: AsyncStream<ClusterStatus>.Continuation] = [:]
        var next: UInt64 = 0
    }

    private let state = Mutex(State())

    var hasFollowers: Bool { state.withLock { !$0.followers.isEmpty } }

    /// Hands a status on even if the last was the same: to a new follower it is not.
    func publish(_ status: ClusterStatus) {
        let followers = state.withLock { Array($0.followers.values) }
        for follower in followers { follower.yield(status) }
    }

    /// Every status published from now on.
    func follow() -> AsyncStream<ClusterStatus> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: ClusterStatus.self,
            bufferingPolicy: .bufferingNewest(1)
        )
        let id = state.withLock { state in
            state.next += 1
            state.followers[state.next] = continuation
            return state.next
        }
        continuation.onTermination = { [weak self] _ in
            self?.state.withLock { _ = $0.followers.removeValue(forKey: id) }
        }
        return stream
    }

    func finish() {
        let followers = state.withLock { Array($0.followers.values) }
        for follower in followers { follower.finish() }
    }
}
