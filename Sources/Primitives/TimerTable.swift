/// Something for each timer that runs, by its name.
///
/// Inlinable: machines and actors look here several times a message, and without its names' type
/// that is dozens of times slower.
public struct TimerTable<Name: TimerName, Value> {
    @usableFromInline var slots: [Value?] = Array(repeating: nil, count: Name.slotCount)
    // Looked up by key only.
    @usableFromInline var others: [Name: Value] = [:]

    /// A table in which no timer runs.
    @inlinable
    public init() {}

    /// Keeps something for a timer, instead of what was kept before.
    @inlinable
    public mutating func set(_ name: Name, _ value: Value) {
        if let slot = name.slot { slots[slot] = value } else { others[name] = value }
    }

    package subscript(name: Name) -> Value? {
        if let slot = name.slot { slots[slot] } else { others[name] }
    }

    /// Forgets a timer, and tells what was kept for it.
    @inlinable
    public mutating func remove(_ name: Name) -> Value? {
        guard let slot = name.slot else {
            return others.isEmpty ? nil : others.removeValue(forKey: name)
        }
        let value = slots[slot]
        slots[slot] = nil
        return value
    }
}

extension TimerTable: Sendable where Value: Sendable {}
