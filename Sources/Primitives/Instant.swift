/// A moment on the clock of one agent: nanoseconds since an origin that only that agent knows.
///
/// Monotonic; never comes from a calendar. In a simulation it is virtual time. Instants of two
/// agents must not be compared, and never travel.
package struct Instant: Hashable, Comparable, Sendable {
    package let nanoseconds: Int64

    package init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    package static let origin = Instant(nanoseconds: 0)

    package static func < (left: Self, right: Self) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    package static func + (instant: Self, duration: Duration) -> Self {
        Instant(nanoseconds: instant.nanoseconds &+ duration.wholeNanoseconds)
    }

    package static func - (instant: Self, duration: Duration) -> Self {
        Instant(nanoseconds: instant.nanoseconds &- duration.wholeNanoseconds)
    }

    package static func - (later: Self, earlier: Self) -> Duration {
        .nanoseconds(later.nanoseconds &- earlier.nanoseconds)
    }

    package static func += (instant: inout Self, duration: Duration) {
        instant = instant + duration
    }
}

extension Duration {
    private static let secondsLimit: Int64 = 4_611_686_018

    /// The duration in nanoseconds, cut towards zero, clamped to ±146 years.
    package var wholeNanoseconds: Int64 {
        let limit = Self.secondsLimit
        let (seconds, attoseconds) = components
        if seconds >= limit { return limit * 1_000_000_000 }
        if seconds <= -limit { return -limit * 1_000_000_000 }
        return seconds * 1_000_000_000 + attoseconds / 1_000_000_000
    }

    /// The duration in seconds, for printing and for ratios.
    package var inSeconds: Double {
        let (seconds, attoseconds) = components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }

    /// The duration in milliseconds, cut towards zero.
    package var wholeMilliseconds: Int64 {
        wholeNanoseconds / 1_000_000
    }

    /// The duration times a factor, rounded to whole nanoseconds, clamped to ±146 years.
    package func scaled(by factor: Double) -> Duration {
        let limit = Double(Self.secondsLimit * 1_000_000_000)
        let scaled = (Double(wholeNanoseconds) * factor).rounded()
        return .nanoseconds(Int64(max(-limit, min(limit, scaled))))
    }
}
