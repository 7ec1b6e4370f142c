import Primitives

/// What devices say of themselves, by the bytes that said it.
///
/// Members hear the same word of the same device again and again: read once, it is found here
/// afterwards, and all who heard it share it. Which of them are still here changes nothing but how
/// long reading takes. Used by one thread only, the one of the loop, which is why it is Sendable
/// unchecked.
package final class FactsCache: @unchecked Sendable {
    private var slots: [DeviceFacts?]

    /// - Parameter slotCount: a power of two, and at least two.
    package init(slotCount: Int = 512) {
        precondition(slotCount > 1 && slotCount & (slotCount - 1) == 0, "a power of two")
        slots = Array(repeating: nil, count: slotCount)
    }

    /// Nil if these bytes were not read lately.
    func facts(in block: Span<UInt8>) -> DeviceFacts? {
        let place = place(of: block)
        for place in [place, place ^ 1] {
            if let facts = slots[place], let encoding = facts.encoding,
                Self.areEqual(encoding.span, block)
            {
                return facts
            }
        }
        return nil
    }

    func keep(_ facts: DeviceFacts, from block: Span<UInt8>) {
        let place = place(of: block)
        slots[slots[place] == nil ? place : place ^ 1] = facts
    }

    private func place(of block: Span<UInt8>) -> Int {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        var offset = 0
        while let word = try? block.readBigEndian(UInt64.self, at: &offset) {
            hash = (hash ^ word) &* 0x9E37_79B9_7F4A_7C15
            hash ^= hash >> 29
        }
        for index in offset..<block.count {
            hash = (hash ^ UInt64(block[index])) &* 0x9E37_79B9_7F4A_7C15
        }
        hash ^= hash >> 32
        return Int(truncatingIfNeeded: hash) & (slots.count - 1)
    }

    private static func areEqual(_ left: Span<UInt8>, _ right: Span<UInt8>) -> Bool {
        guard left.count == right.count else { return false }
        for index in left.indices where left[index] != right[index] { return false }
        return true
    }
}
