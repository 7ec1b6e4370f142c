/// A moment on the clock of one agent: nanoseconds since an origin that only that agent knows.
///
/// Monotonic; never comes from a calendar. In a simulation it is virtual time. Instants of two
/// agents must not be compared, and never travel.
public struct Instant: Hashable, Comparable, Sendable {
    @usableFromInline package let nanoseconds: Int64

    /// So many nanoseconds after the origin.
    @inlinable
    public init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    /// The moment from which this agent counts.
    @inlinable public static var origin: Instant { Instant(nanoseconds: 0) }

    /// Whether one comes before the other.
    @inlinable
    public static func < (left: Self, right: Self) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// A later moment.
    @inlinable
    public static func + (instant: Self, duration: Duration) -> Self {
        Instant(nanoseconds: instant.nanoseconds &+ duration.wholeNanoseconds)
    }

    /// An earlier moment.
    @inlinable
    public static func - (instant: Self, duration: Duration) -> Self {
        Instant(nanoseconds: instant.nanoseconds &- duration.wholeNanoseconds)
    }

    /// How much time passed between the two.
    @inlinable
    public static func - (later: Self, earlier: Self) -> Duration {
        Duration(wholeNanoseconds: later.nanoseconds &- earlier.nanoseconds)
    }

    /// Goes on to a later moment.
    @inlinable
    public static func += (instant: inout Self, duration: Duration) {
        instant = instant + duration
    }
}

extension Duration {
    @usableFromInline static var secondsLimit: Int64 { 4_611_686_018 }

    /// The standard library's `nanoseconds` counts in 128 bits of its own making, which takes many
    /// times as long.
    @inlinable
    public init(wholeNanoseconds: Int64) {
        self.init(attoseconds: Int128(wholeNanoseconds) * 1_000_000_000)
    }

    /// The duration in nanoseconds, cut towards zero, clamped to ±146 years.
    @inlinable public var wholeNanoseconds: Int64 {
        // What is shorter than nine seconds needs no division of 128 bits.
        if let attoseconds = Int64(exactly: attoseconds) { return attoseconds / 1_000_000_000 }
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
    @inlinable
    public func scaled(by factor: Double) -> Duration {
        let limit = Double(Self.secondsLimit * 1_000_000_000)
        let scaled = (Double(wholeNanoseconds) * factor).rounded()
        return Duration(wholeNanoseconds: Int64(max(-limit, min(limit, scaled))))
    }
}
