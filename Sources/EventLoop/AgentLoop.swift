package import Primitives

/// The one thread of control of an agent: every actor of the agent runs on it, and only on it.
///
/// It is the serial executor of the actors and the task executor of whatever they await, so that
/// a simulated loop can run the same actors in virtual time. Code that runs on the loop must not
/// block: disk, child processes and bulk data belong to other threads.
package protocol AgentLoop: SerialExecutor, TaskExecutor {
    /// The moment at which the callback that is running now began.
    var now: Instant { get }

    /// Whether the caller runs on the loop.
    var isCurrent: Bool { get }

    /// Runs the action on the loop, once, at least `delay` from now. Only called on the loop.
    @discardableResult
    func schedule(after delay: Duration, _ action: @escaping @Sendable () -> Void) -> LoopTimer

    /// Forgets a timer; one that has fired or was cancelled already is ignored. Only on the loop.
    func cancel(_ timer: LoopTimer)

    /// Runs the action on the loop, soon. Callable from any thread.
    func execute(_ action: @escaping @Sendable () -> Void)
}

/// The name of a timer that was set on a loop.
package struct LoopTimer: Hashable, Sendable {
    package let id: UInt64

    package init(id: UInt64) {
        self.id = id
    }
}

extension AgentLoop {
    /// What an actor of the loop names as its executor; the actor keeps the loop alive.
    @safe package var executor: UnownedSerialExecutor {
        unsafe asUnownedSerialExecutor()
    }
}
