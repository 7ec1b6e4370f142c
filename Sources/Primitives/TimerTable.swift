/// Something for each timer that runs, by its name.
package struct TimerTable<Name: TimerName, Value> {
    private var slots: [Value?] = Array(repeating: nil, count: Name.slotCount)
    // Looked up by key only.
    private var others: [Name: Value] = [:]

    package init() {}

    package mutating func set(_ name: Name, _ value: Value) {
        if let slot = name.slot { slots[slot] = value } else { others[name] = value }
    }

    package subscript(name: Name) -> Value? {
        if let slot = name.slot { slots[slot] } else { others[name] }
    }

    /// Forgets a timer, and tells what was kept for it.
    package mutating func remove(_ name: Name) -> Value? {
        guard let slot = name.slot else {
            return others.isEmpty ? nil : others.removeValue(forKey: name)
        }
        let value = slots[slot]
        slots[slot] = nil
        return value
    }
}

extension TimerTable: Sendable where Value: Sendable {}
