import Foundation
import Primitives
import Testing

@testable import Telemetry

@Suite struct WallTimeTests {
    private func text(_ time: WallTime) -> String {
        var bytes: [UInt8] = []
        bytes.append(rfc3339: time)
        return String(decoding: bytes, as: UTF8.self)
    }

    @Test func `a moment is printed in UTC with microseconds`() {
        #expect(text(someTime) == "2026-11-23T19:54:03.123456Z")
        #expect(text(WallTime(nanoseconds: 0)) == "1970-01-01T00:00:00.000000Z")
        #expect(text(WallTime(nanoseconds: -1)) == "1969-12-31T23:59:59.999999Z")
    }

    @Test func `leap days of every kind of year are right`() throws {
        for date in ["2000-02-29", "2024-02-29", "1900-02-28", "1900-03-01", "2100-12-31"] {
            let line = "\(date)T12:00:00.000000Z"
            #expect(text(try #require(WallTime(rfc3339: line))) == line)
        }
    }

    @Test func `thousands of moments agree with Foundation and are read back`() throws {
        let formatter = ISO8601DateFormatter()
        var generator = SeededGenerator(seed: 7)
        for _ in 0..<3000 {
            // From 1690 to 2250.
            let seconds = Int64(generator.below(17_600_000_000)) - 8_800_000_000
            let time = WallTime(nanoseconds: seconds * 1_000_000_000 + 987_654_000)
            let expected = formatter.string(
                from: Date(timeIntervalSince1970: TimeInterval(seconds))
            )
            #expect(text(time) == expected.dropLast() + ".987654Z")
            #expect(WallTime(rfc3339: text(time)) == time)
        }
    }

    @Test(arguments: [
        "", "2026", "2026-11-23", "2026-11-23T19:54:03", "2026-11-23T19:54:03.Z",
        "2026-13-23T19:54:03Z", "2026-11-23T24:54:03Z", "2026-11-23T19:54:03+01:00",
        "2026-11-23T19:54:03.1234567890Z", "2026-11-23T19:54:03.1Zx", "+026-11-23T19:54:03Z",
        "9999-11-23T19:54:03Z", "２026-11-23T19:54:03Z",
    ])
    func `anything else is refused`(_ text: String) {
        #expect(WallTime(rfc3339: text) == nil)
    }

    @Test func `decimals may be left out or be nine`() {
        #expect(
            WallTime(rfc3339: "2026-11-23T19:54:03.123456789Z") == someTime
        )
        #expect(
            WallTime(rfc3339: "2026-11-23T19:54:03Z")?.nanoseconds == 1_795_463_643_000_000_000
        )
    }
}
