import Primitives
@testable import SecureChannel
import Testing

@Suite struct ReplayWindowTests {
    @Test(arguments: 1...20)
    func `nothing is taken twice, and everything near the highest once`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var window = ReplayWindow()
        var taken: Set<UInt64> = []
        var highest: UInt64 = 0
        for _ in 0..<5000 {
            let jump = random.below(50) == 0 ? UInt64(random.below(5000)) : 8
            let place = UInt64(max(0, Int(highest) + Int(jump) - random.below(1500)))
            let isNear = taken.isEmpty || place + ReplayWindow.width > highest
            #expect(window.permits(place) == (isNear && !taken.contains(place)))
            guard window.permits(place) else { continue }
            window.take(place)
            taken.insert(place)
            highest = max(highest, place)
        }
        #expect(taken.count > 500)
    }

    @Test func `a handshake's beginning is new once, and the memory is bounded`() {
        var memory = HandshakeMemory()
        let keys = (0..<HandshakeMemory.limit + 1).map { number in
            var bytes: [UInt8] = []
            bytes.append(bigEndian: UInt64(number))
            return bytes + [UInt8](repeating: 0, count: 24)
        }
        let first = keys.dropLast().map { memory.isNew($0) }
        #expect(first.allSatisfy { $0 })
        let again = [keys[0], keys[HandshakeMemory.limit], keys[1], keys[0]].map {
            memory.isNew($0)
        }
        // The last one pushed the oldest out.
        #expect(again == [false, true, false, true])
    }
}
