import EventLoop
import Primitives

/// The running timers of one machine, by name; setting one again replaces it.
struct LoopTimers<Name: TimerName> {
    private let loop: any AgentLoop
    private var running = TimerTable<Name, LoopTimer>()

    init(loop: any AgentLoop) {
        self.loop = loop
    }

    mutating func set(
        _ name: Name,
        after delay: Duration,
        _ action: @escaping @Sendable () -> Void
    ) {
        cancel(name)
        running.set(name, loop.schedule(after: delay, action))
    }

    mutating func cancel(_ name: Name) {
        if let timer = running.remove(name) { loop.cancel(timer) }
    }

    /// Forgets a timer that has fired.
    mutating func fired(_ name: Name) {
        _ = running.remove(name)
    }
}
