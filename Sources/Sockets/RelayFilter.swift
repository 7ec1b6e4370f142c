package import Primitives

/// Sees the bytes that pass through a pair, opened, and says what goes on.
///
/// Used on the relay's thread only, one call at a time. What it holds back it must bound itself:
/// the relay reads no more from a side while what came from it waits to be written.
package protocol RelayFilter: AnyObject {
    /// Takes bytes read from one side, and appends what each side gets; by rights, to the other
    /// side what came from this one. An error ends the pair.
    func pass(
        _ bytes: ArraySlice<UInt8>,
        from side: RelaySide,
        toFirst: inout [UInt8],
        toSecond: inout [UInt8]
    ) throws(RelayFilterError)

    /// A side has sent all. Appends what is still to be said.
    func ended(
        _ side: RelaySide,
        toFirst: inout [UInt8],
        toSecond: inout [UInt8]
    ) throws(RelayFilterError)

    /// The pair stands. What is called with `wake`, on any thread, makes the relay ask again what
    /// the filter takes and has.
    func begin(wake: @escaping @Sendable () -> Void)

    /// Whether more is read from a side now.
    func takesMore(from side: RelaySide) -> Bool

    /// Whether something is about to come, for which it pays to stay awake some microseconds.
    var expectsMore: Bool { get }

    /// Whether the filter has something for a side that it did not say in `pass`.
    func hasMore(for side: RelaySide) -> Bool

    /// Everything that was said to a side is written: appends the next of what is for it.
    func goOn(
        for side: RelaySide,
        toFirst: inout [UInt8],
        toSecond: inout [UInt8]
    ) throws(RelayFilterError)

    /// How often `check` is called; nil for never.
    var checkInterval: Duration? { get }

    /// Looks at the pair, whether bytes move or not; an error ends it.
    func check(_ glance: RelayGlance) throws(RelayFilterError)
}

extension RelayFilter {
    package func begin(wake: @escaping @Sendable () -> Void) {}

    package func takesMore(from side: RelaySide) -> Bool { true }

    package var expectsMore: Bool { false }

    package func hasMore(for side: RelaySide) -> Bool { false }

    package func goOn(
        for side: RelaySide,
        toFirst: inout [UInt8],
        toSecond: inout [UInt8]
    ) throws(RelayFilterError) {}

    package var checkInterval: Duration? { nil }

    package func check(_ glance: RelayGlance) throws(RelayFilterError) {}
}

/// A pair at a moment.
package struct RelayGlance: Sendable {
    package var now: Instant
    /// Bytes wait because the side does not read.
    package var isFirstBlocked: Bool
    package var isSecondBlocked: Bool

    package init(now: Instant, isFirstBlocked: Bool, isSecondBlocked: Bool) {
        self.now = now
        self.isFirstBlocked = isFirstBlocked
        self.isSecondBlocked = isSecondBlocked
    }
}

/// Why a filter ended its pair.
package struct RelayFilterError: Error {
    package let reason: String

    package init(_ reason: String) {
        self.reason = reason
    }
}
