import Primitives

/// What devices say of themselves, by the bytes that said it.
///
/// Members hear the same word of the same device again and again: read once, it is found here
/// afterwards, and all who heard it share it. Which of them are still here changes nothing but how
/// long reading takes. Used by one thread only, the one of the loop, which is why it is Sendable
/// unchecked.
package final class FactsCache: @unchecked Sendable {
    private struct Slot {
        /// Of the bytes; tells almost always without a look at them that they are others.
        var hash: UInt64 = 0
        var facts: DeviceFacts?
    }

    private var slots: [Slot]

    /// - Parameter slotCount: a power of two, and at least two.
    package init(slotCount: Int = 512) {
        precondition(slotCount > 1 && slotCount & (slotCount - 1) == 0, "a power of two")
        slots = Array(repeating: Slot(), count: slotCount)
    }

    /// Nil if these bytes were not read lately.
    func facts(in block: Span<UInt8>) -> DeviceFacts? {
        let hash = Self.hash(of: block)
        let place = place(of: hash)
        if slots[place].hash == hash, let facts = known(at: place, block) { return facts }
        if slots[place ^ 1].hash == hash { return known(at: place ^ 1, block) }
        return nil
    }

    private func known(at place: Int, _ block: Span<UInt8>) -> DeviceFacts? {
        guard let facts = slots[place].facts, let encoding = facts.encoding,
            Self.areEqual(encoding.span, block)
        else { return nil }
        return facts
    }

    func keep(_ facts: DeviceFacts, from block: Span<UInt8>) {
        let hash = Self.hash(of: block)
        let place = place(of: hash)
        let isFree = slots[place].facts == nil
        slots[isFree ? place : place ^ 1] = Slot(hash: hash, facts: facts)
    }

    private func place(of hash: UInt64) -> Int {
        Int(truncatingIfNeeded: hash) & (slots.count - 1)
    }

    private static func hash(of block: Span<UInt8>) -> UInt64 {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        var offset = 0
        while offset + 8 <= block.count,
            let word = try? block.readBigEndian(UInt64.self, at: &offset)
        {
            hash = (hash ^ word) &* 0x9E37_79B9_7F4A_7C15
            hash ^= hash >> 29
        }
        for index in offset..<block.count {
            hash = (hash ^ UInt64(block[index])) &* 0x9E37_79B9_7F4A_7C15
        }
        return hash ^ hash >> 32
    }

    private static func areEqual(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
        guard left.count == right.count else { return false }
        for index in left.indices where left[index] != right[index] { return false }
        return true
    }
}
