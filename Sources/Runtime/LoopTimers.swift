import EventLoop
import Primitives

/// The running timers of one machine, by name; setting one again replaces it.
struct LoopTimers<Name: TimerName> {
    private let loop: any AgentLoop
    private var slots: [LoopTimer?]
    // Looked up by key only.
    private var others: [Name: LoopTimer] = [:]

    init(loop: any AgentLoop) {
        self.loop = loop
        slots = Array(repeating: nil, count: Name.slotCount)
    }

    mutating func set(
        _ name: Name,
        after delay: Duration,
        _ action: @escaping @Sendable () -> Void
    ) {
        cancel(name)
        let timer = loop.schedule(after: delay, action)
        if let slot = name.slot { slots[slot] = timer } else { others[name] = timer }
    }

    mutating func cancel(_ name: Name) {
        if let timer = remove(name) { loop.cancel(timer) }
    }

    /// Forgets a timer that has fired.
    mutating func fired(_ name: Name) {
        _ = remove(name)
    }

    private mutating func remove(_ name: Name) -> LoopTimer? {
        guard let slot = name.slot else {
            return others.isEmpty ? nil : others.removeValue(forKey: name)
        }
        let timer = slots[slot]
        slots[slot] = nil
        return timer
    }
}
