/// The identity of one device's agent, for life.
///
/// 128 bits, ordered as an unsigned integer; that order breaks ties everywhere (ballots, sorted
/// member lists), so it must not depend on names or addresses, which change.
///
/// Public, as is all here that is compared or counted for every message: Swift 6.3 inlines nothing
/// across modules of what is only `package`, and a simulated hour took a tenth longer.
public struct NodeID: Hashable, Comparable, Sendable {
    package static let byteCount = 16

    // In two halves: Swift 6.3 misaligns stack slots of enums that carry a UInt128. What compares
    // and hashes is inlinable: lists of members are searched for every message.
    @usableFromInline package let high: UInt64
    @usableFromInline package let low: UInt64

    package init(_ rawValue: UInt128) {
        high = UInt64(truncatingIfNeeded: rawValue >> 64)
        low = UInt64(truncatingIfNeeded: rawValue)
    }

    /// The identity of these two halves.
    @inlinable
    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

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

    /// Whether both are the same device.
    @inlinable
    public static func == (left: Self, right: Self) -> Bool {
        left.high == right.high && left.low == right.low
    }

    /// As unsigned integers.
    @inlinable
    public static func < (left: Self, right: Self) -> Bool {
        left.high != right.high ? left.high < right.high : left.low < right.low
    }

    /// Both halves.
    @inlinable
    public func hash(into hasher: inout Hasher) {
        hasher.combine(high)
        hasher.combine(low)
    }
}

extension NodeID: CustomStringConvertible {
    /// 32 lower-case hexadecimal digits.
    public var description: String {
        // The standard library's own conversion of 128 bits is many times slower.
        let digits = [UInt8](capacity: 2 * Self.byteCount) { output in
            for half in [high, low] {
                for shift in stride(from: 60, through: 0, by: -4) {
                    let digit = UInt8(half >> UInt64(shift) & 0xF)
                    output.append(digit < 10 ? 0x30 + digit : 0x61 - 10 + digit)
                }
            }
        }
        return String(decoding: digits, as: UTF8.self)
    }

    /// The first eight digits, for people.
    package var short: String {
        String(description.prefix(8))
    }
}
