import Primitives

/// When each timer is due.
struct SWIMTimers {
    private var slots: [Instant?] = Array(repeating: nil, count: SWIMTimer.slotCount)
    // Looked up by key only.
    private var others: [SWIMTimer: Instant] = [:]

    mutating func set(_ timer: SWIMTimer, due: Instant) {
        if let slot = timer.slot { slots[slot] = due } else { others[timer] = due }
    }

    /// Forgets a timer, and tells when it was due.
    mutating func remove(_ timer: SWIMTimer) -> Instant? {
        guard let slot = timer.slot else {
            return others.isEmpty ? nil : others.removeValue(forKey: timer)
        }
        let due = slots[slot]
        slots[slot] = nil
        return due
    }
}
