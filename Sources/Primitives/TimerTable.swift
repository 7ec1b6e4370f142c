/// The name of a machine's timer.
package protocol TimerName: Hashable, Sendable {
    /// How many timers there are of which there is one each.
    static var slotCount: Int { get }

    /// Which of them it is, from 0; nil if there may be many of its kind.
    var slot: Int? { get }
}

/// What is kept for each timer that runs.
///
/// Most timers of a machine are one of a kind, and are set with almost every message: they are
/// found without hashing.
package struct TimerTable<Name: TimerName, Value: Sendable>: Sendable {
    @usableFromInline var slots: [Value?]
    // Looked up by key only.
    @usableFromInline var others: [Name: Value] = [:]

    @inlinable
    package init() {
        slots = Array(repeating: nil, count: Name.slotCount)
    }

    @inlinable
    package mutating func set(_ name: Name, _ value: Value) {
        if let slot = name.slot { slots[slot] = value } else { others[name] = value }
    }

    /// Forgets a timer and gives what was kept for it.
    @inlinable
    package mutating func remove(_ name: Name) -> Value? {
        if let slot = name.slot {
            let value = slots[slot]
            slots[slot] = nil
            return value
        }
        return others.isEmpty ? nil : others.removeValue(forKey: name)
    }
}
