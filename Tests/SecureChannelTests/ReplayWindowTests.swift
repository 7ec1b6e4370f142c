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
}
