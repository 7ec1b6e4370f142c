import Primitives
import Testing

struct InstantTests {
    @Test func `instants and durations add up`() {
        var instant = Instant.origin + .seconds(2)
        #expect(instant.nanoseconds == 2_000_000_000)
        #expect(instant - Instant.origin == .seconds(2))
        #expect(Instant.origin - instant == .seconds(-2))
        #expect((instant - .milliseconds(500)).nanoseconds == 1_500_000_000)
        instant += .nanoseconds(1)
        #expect(instant > Instant.origin + .seconds(2))
    }

    @Test(
        arguments: [
            (Duration.zero, 0), (.nanoseconds(1), 1), (.nanoseconds(-1), -1),
            (.milliseconds(1500), 1_500_000_000), (.microseconds(-7), -7000),
            (Duration(secondsComponent: 0, attosecondsComponent: 1_999_999_999), 1),
            (Duration(secondsComponent: 0, attosecondsComponent: -1_999_999_999), -1),
            (.seconds(4_611_686_017), 4_611_686_017_000_000_000),
            (.seconds(4_611_686_018), 4_611_686_018_000_000_000),
            (.milliseconds(4_611_686_018_999), 4_611_686_018_000_000_000),
            (.seconds(Int64.max), 4_611_686_018_000_000_000),
            (.seconds(Int64.min), -4_611_686_018_000_000_000),
        ] as [(Duration, Int64)]
    )
    func `a duration in nanoseconds is cut and clamped`(duration: Duration, nanoseconds: Int64) {
        #expect(duration.wholeNanoseconds == nanoseconds)
    }

    @Test func `a duration in other units`() {
        #expect(Duration.milliseconds(1500).inSeconds == 1.5)
        #expect(Duration.microseconds(-2500).wholeMilliseconds == -2)
        #expect(Duration.nanoseconds(999_999).wholeMilliseconds == 0)
    }

    @Test(
        arguments: [
            (Duration.seconds(2), 1.5, Duration.seconds(3)), (.seconds(1), 0, .zero),
            (.nanoseconds(3), 0.5, .nanoseconds(2)), (.seconds(1), -1, .seconds(-1)),
            (.seconds(1), .infinity, .seconds(4_611_686_018)),
            (.seconds(-1), 1e30, .seconds(-4_611_686_018)),
            (.seconds(Int64.max), 3, .seconds(4_611_686_018)),
        ] as [(Duration, Double, Duration)]
    )
    func `a scaled duration is rounded and clamped`(
        duration: Duration,
        factor: Double,
        scaled: Duration
    ) {
        #expect(duration.scaled(by: factor) == scaled)
    }

    @Test func `scaling by what is no number does not end the program`() {
        _ = Duration.seconds(1).scaled(by: .nan)
    }
}
