import EventLoop

/// The running timers of one machine, by name; setting one again replaces it.
struct LoopTimers<Name: Hashable & Sendable> {
    private let loop: any AgentLoop
    private var running: [Name: LoopTimer] = [:]

    init(loop: any AgentLoop) {
        self.loop = loop
    }

    mutating func set(
        _ name: Name,
        after delay: Duration,
        _ action: @escaping @Sendable () -> Void
    ) {
        cancel(name)
        running[name] = loop.schedule(after: delay, action)
    }

    mutating func cancel(_ name: Name) {
        if let timer = running.removeValue(forKey: name) { loop.cancel(timer) }
    }

    /// Forgets a timer that has fired.
    mutating func fired(_ name: Name) {
        running.removeValue(forKey: name)
    }

    mutating func cancelAll() {
        // Order does not matter: cancelling has no effect but its own.
        for timer in running.values { loop.cancel(timer) }
        running = [:]
    }
}
