import Primitives

/// Hands `total` whole parts out in proportion to weights; nil when all weights are zero.
///
/// What rounding down leaves goes to the largest remainders, the first device first.
func largestRemainder(_ total: Int, weights: [UInt64]) -> [Int]? {
    // 128 bits: 16 devices of 2^63 bytes times 513 units.
    let sum = weights.reduce(UInt128(0)) { $0 + UInt128($1) }
    guard sum > 0 else { return nil }
    var parts: [Int] = []
    var remainders: [UInt128] = []
    for weight in weights {
        let (quotient, remainder) = (UInt128(weight) * UInt128(total))
            .quotientAndRemainder(dividingBy: sum)
        parts.append(Int(quotient))
        remainders.append(remainder)
    }
    let order = remainders.indices.sorted {
        (remainders[$1], $0) < (remainders[$0], $1)
    }
    for device in order.prefix(total - parts.reduce(0, +)) { parts[device] += 1 }
    return parts
}

/// Finds how many units each device gets.
struct UnitAllotment {
    let memory: [ByteCount]
    let unitCount: Int
    /// Nil when nothing is known of the model but its layers: then any number of units fits.
    let demand: MemoryDemand?

    /// Where each device's units end.
    func ends() throws(LayerSplitError) -> [Int] {
        try placeable()
        return fitted(ends(of: capped()))
    }

    /// The wished counts: by memory, less where memory falls short.
    private func capped() -> [Int] {
        var caps: [Int?] = Array(repeating: nil, count: memory.count)
        while true {
            let counts = shares(caps)
            var start = 0
            var changed = false
            for device in memory.indices {
                let holds = reach(device, from: start) - start
                if caps[device] == nil, holds < counts[device] {
                    caps[device] = holds
                    changed = true
                }
                start = min(start + counts[device], unitCount)
            }
            // Every round caps at least one more device, so there are at most 17.
            if !changed { return counts }
        }
    }

    /// The units by memory, with the given numbers for devices that are capped.
    private func shares(_ caps: [Int?]) -> [Int] {
        let open = memory.indices.filter { caps[$0] == nil }
        var counts = caps.map { $0 ?? 0 }
        let rest = unitCount - counts.reduce(0, +)
        guard rest > 0, !open.isEmpty else { return counts }
        let weights = open.map { memory[$0].bytes }
        var parts =
            largestRemainder(rest, weights: weights)
            ?? largestRemainder(rest, weights: open.map { _ in 1 }) ?? []
        // One unit each, taken from whoever has the most.
        if rest >= open.count {
            for empty in parts.indices where parts[empty] == 0 {
                guard let largest = parts.indices.max(by: { parts[$0] < parts[$1] }) else { break }
                parts[largest] -= 1
                parts[empty] += 1
            }
        }
        for (device, part) in zip(open, parts) { counts[device] = part }
        return counts
    }

    private func ends(of counts: [Int]) -> [Int] {
        var end = 0
        return counts.map { count in
            end = min(end + count, unitCount)
            return end
        }
    }

    /// The nearest ends at which every device holds its units.
    ///
    /// Layers differ in size, so counts that fit one by one may not fit in a row. Each end is
    /// kept where the devices behind can take the rest, and within what the device holds.
    private func fitted(_ wished: [Int]) -> [Int] {
        guard demand != nil else { return wished }
        let latest = earliestStarts()
        var start = 0
        return wished.indices.map { device in
            let behind = device + 1 < latest.count ? latest[device + 1] : unitCount
            let end = min(max(wished[device], behind, start), reach(device, from: start))
            start = end
            return end
        }
    }

    /// The earliest unit from which on a device and those behind it hold everything.
    private func earliestStarts() -> [Int] {
        var starts = Array(repeating: unitCount, count: memory.count)
        var end = unitCount
        for device in memory.indices.reversed() {
            while end > 0, holds(device, end - 1..<starts[device]) { end -= 1 }
            if device > 0 { starts[device - 1] = end }
            starts[device] = end
        }
        return starts
    }

    /// Throws unless filling the devices one after the other places everything.
    private func placeable() throws(LayerSplitError) {
        guard let demand else { return }
        var start = 0
        for device in memory.indices { start = reach(device, from: start) }
        guard start < unitCount else { return }
        throw .doesNotFit(
            needed: demand.totalByteCount(deviceCount: memory.count),
            available: memory.reduce(.zero, +),
            unplacedUnitCount: unitCount - start
        )
    }

    /// The largest end such that the device holds all units from `start` to it.
    private func reach(_ device: Int, from start: Int) -> Int {
        var end = start
        while end < unitCount, holds(device, start..<end + 1) { end += 1 }
        return end
    }

    private func holds(_ device: Int, _ units: Range<Int>) -> Bool {
        guard let demand else { return true }
        let range = LayerRange(units: units, layerCount: unitCount - 1)
        return demand.byteCount(of: range) <= memory[device]
    }
}
