import Primitives
import Testing

struct ReachTrialsTests {
    private static func at(_ seconds: Int) -> Instant { .origin + .seconds(seconds) }

    @Test func `a way that fails again and again, for a while, is broken`() {
        var trials = ReachTrials()
        #expect(!trials.isBroken(at: Self.at(0)) && !trials.hasWorked)
        trials.failed(at: Self.at(1))
        #expect(!trials.isBroken(at: Self.at(100)))
        trials.failed(at: Self.at(3))
        #expect(!trials.isBroken(at: Self.at(5)))
        #expect(trials.isBroken(at: Self.at(6)))
    }

    @Test func `one success mends it`() {
        var trials = ReachTrials()
        for second in 0..<20 { trials.failed(at: Self.at(second)) }
        #expect(trials.isBroken(at: Self.at(20)))
        trials.worked()
        #expect(!trials.isBroken(at: Self.at(20)) && trials.hasWorked)
        trials.failed(at: Self.at(21))
        trials.failed(at: Self.at(22))
        #expect(!trials.isBroken(at: Self.at(25)))
        #expect(trials.isBroken(at: Self.at(26)))
    }
}
