/// The identity of one device's agent, for life.
///
/// 128 bits, ordered as an unsigned integer; that order breaks ties everywhere (ballots, sorted
/// member lists), so it must not depend on names or addresses, which change.
package struct NodeID: Hashable, Comparable, Sendable {
    package static let byteCount = 16

    private let high: UInt64
    private let low: UInt64

    package init(_ rawValue: UInt128) {
        high = UInt64(truncatingIfNeeded: rawValue >> 64)
        low = UInt64(truncatingIfNeeded: rawValue)
    }

    // In two halves: Swift 6.3 misaligns stack slots of enums that carry a UInt128.
    package var rawValue: UInt128 { UInt128(high) << 64 | UInt128(low) }

    /// A fresh identity, drawn from the given generator so that a simulation can repeat it.
    package init(using generator: inout some RandomNumberGenerator) {
        high = generator.next()
        low = generator.next()
    }

    /// Reads what `description` prints: 32 hexadecimal digits; nil for anything else.
    package init?(_ text: some StringProtocol) {
        guard text.utf8.count == 2 * Self.byteCount, let value = UInt128(digits: text, radix: 16)
        else { return nil }
        self.init(value)
    }

    package static func < (left: Self, right: Self) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

extension NodeID: CustomStringConvertible {
    /// 32 lower-case hexadecimal digits.
    package var description: String {
        let digits = String(rawValue, radix: 16)
        return String(repeating: "0", count: 2 * Self.byteCount - digits.count) + digits
    }

    /// The first eight digits, for people.
    package var short: String {
        String(description.prefix(8))
    }
}
