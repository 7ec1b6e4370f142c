/// A small, fast generator whose whole sequence follows from its seed (SplitMix64, Steele, Lea,
/// Flood, OOPSLA 2014).
///
/// Not for secrets. Every machine that needs randomness is given one at init.
public struct SeededGenerator: RandomNumberGenerator, Sendable {
    @usableFromInline var state: UInt64

    /// The generator whose sequence follows from the seed.
    @inlinable
    public init(seed: UInt64) {
        state = seed
    }

    /// The next 64 bits of the sequence.
    @inlinable
    public mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        return Self.mix(state)
    }

    /// An independent generator for one purpose, so that drawing more for one purpose never
    /// changes what another sees.
    @inlinable
    public func derived(_ purpose: UInt64) -> SeededGenerator {
        SeededGenerator(seed: Self.mix(state ^ Self.mix(purpose &+ 0x9E37_79B9_7F4A_7C15)))
    }

    /// A number in `0..<bound`, without modulo bias that matters (bound far below 2^64).
    @inlinable
    public mutating func below(_ bound: Int) -> Int {
        precondition(bound > 0, "nothing to choose from")
        return Int(truncatingIfNeeded: next().multipliedFullWidth(by: UInt64(bound)).high)
    }

    /// A number in `0..<1`.
    @inlinable
    public mutating func fraction() -> Double {
        Double(next() >> 11) * 0x1p-53
    }

    /// A duration drawn uniformly from the range.
    @inlinable
    public mutating func duration(in range: ClosedRange<Duration>) -> Duration {
        range.lowerBound + (range.upperBound - range.lowerBound).scaled(by: fraction())
    }

    /// Shuffles in place (Fisher–Yates); the standard library's order is not part of its contract.
    @inlinable
    public mutating func shuffle<Element>(_ elements: inout [Element]) {
        for last in stride(from: elements.count - 1, to: 0, by: -1) {
            elements.swapAt(last, below(last + 1))
        }
    }

    @inlinable
    static func mix(_ value: UInt64) -> UInt64 {
        var mixed = value
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
