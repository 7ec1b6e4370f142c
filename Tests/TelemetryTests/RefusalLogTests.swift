import Primitives
import Testing

@testable import Telemetry

@Suite struct RefusalLogTests {
    private func instant(_ seconds: Int64) -> Instant {
        Instant(nanoseconds: seconds * 1_000_000_000)
    }

    @Test func `the first, the tenth and the hundredth are said`() {
        var log = RefusalLog()
        var said: [UInt64] = []
        for _ in 1...1500 {
            if case .say(_, let total, _) = log.count("truncated", at: instant(1)) {
                said.append(total)
            }
        }
        #expect(said == [1, 10, 100, 1000])
    }

    @Test func `after a quiet minute the next one is said, with what was missed`() {
        var log = RefusalLog()
        #expect(log.count("x", at: instant(0)) == .say(reason: "x", total: 1, sinceLast: 1))
        #expect(log.count("x", at: instant(59)) == .keepQuiet)
        #expect(log.count("x", at: instant(60)) == .say(reason: "x", total: 3, sinceLast: 2))
        #expect(log.count("x", at: instant(61)) == .keepQuiet)
    }

    @Test func `reasons are counted apart`() {
        var log = RefusalLog()
        _ = log.count("a", at: instant(0))
        #expect(log.count("b", at: instant(0)) == .say(reason: "b", total: 1, sinceLast: 1))
    }

    @Test func `invented reasons share one entry beyond the limit`() {
        var log = RefusalLog(reasonLimit: 2)
        for number in 0..<1000 { _ = log.count("reason \(number)", at: instant(0)) }
        #expect(log.totals.map(\.reason) == ["reason 0", "reason 1", RefusalLog.other])
        #expect(log.totals.map(\.total) == [1, 1, 998])
        #expect(
            log.count("one more", at: instant(90))
                == .say(reason: RefusalLog.other, total: 999, sinceLast: 899)
        )
    }
}
