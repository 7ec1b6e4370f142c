/// An IPv4 or IPv6 address in host order; IPv6 with the interface index that link-local ones need.
public enum IPAddress: Hashable, Sendable {
    case v4(UInt32)
    case v6(IPv6Bits, scope: UInt32 = 0)

    package static let loopback = IPAddress.v4(0x7F00_0001)

    /// Whether both are the same address, on the same link.
    @inlinable
    public static func == (left: Self, right: Self) -> Bool {
        switch (left, right) {
        case (.v4(let left), .v4(let right)): left == right
        case (.v6(let left, let leftScope), .v6(let right, let rightScope)):
            left == right && leftScope == rightScope
        case (.v4, .v6), (.v6, .v4): false
        }
    }

    /// Whether only this machine can reach the address.
    package var isLoopback: Bool {
        switch self {
        case .v4(let bits): bits >> 24 == 127
        case .v6(let bits, _): bits.value == 1
        }
    }

    /// Whether the address stands for every address of the machine (`0.0.0.0`, `::`).
    package var isUnspecified: Bool {
        switch self {
        case .v4(let bits): bits == 0
        case .v6(let bits, _): bits.value == 0
        }
    }

    /// The address as other machines know it: a scope is a number of this machine alone.
    package var withoutScope: IPAddress {
        guard case .v6(let bits, _) = self else { return self }
        return .v6(bits)
    }

    /// Whether it can be any of several devices', one on each of this machine's links, until a
    /// scope says on which link.
    package var needsScope: Bool {
        guard case .v6(_, scope: 0) = self else { return false }
        return isLinkLocal
    }

    package var isV4: Bool {
        switch self {
        case .v4: true
        case .v6: false
        }
    }

    /// Whether the address is only valid on one link (`169.254/16`, `fe80::/10`).
    package var isLinkLocal: Bool {
        switch self {
        case .v4(let bits): bits >> 16 == 0xA9FE
        case .v6(let bits, _): bits.value >> 118 == 0x3FA
        }
    }
}

extension IPAddress: Comparable {
    /// IPv4 first, then as unsigned integers.
    public static func < (left: Self, right: Self) -> Bool {
        switch (left, right) {
        case (.v4(let left), .v4(let right)): left < right
        case (.v4, .v6): true
        case (.v6, .v4): false
        case (.v6(let left, let leftScope), .v6(let right, let rightScope)):
            (left.value, leftScope) < (right.value, rightScope)
        }
    }
}

extension IPAddress {
    /// Reads a literal address, IPv6 optionally with a numeric scope (`fe80::1%2`).
    package init?(_ text: some StringProtocol) {
        if text.contains(":") {
            self.init(v6: text)
        } else {
            guard let bits = Self.v4Bits(text) else { return nil }
            self = .v4(bits)
        }
    }

    private static func v4Bits(_ text: some StringProtocol) -> UInt32? {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        guard parts.count == 4 else { return nil }
        var bits: UInt32 = 0
        for part in parts {
            // Leading zeros are refused: some systems read them as octal.
            guard (1...3).contains(part.utf8.count), part.count == 1 || part.first != "0",
                let byte = UInt8(digits: part)
            else { return nil }
            bits = bits << 8 | UInt32(byte)
        }
        return bits
    }

    private init?(v6 text: some StringProtocol) {
        var body = text[...]
        var scope: UInt32 = 0
        if let percent = body.firstIndex(of: "%") {
            guard let index = UInt32(digits: body[body.index(after: percent)...]) else {
                return nil
            }
            scope = index
            body = body[..<percent]
        }
        guard let bits = Self.v6Bits(String(body)) else { return nil }
        self = .v6(IPv6Bits(bits), scope: scope)
    }

    private static func v6Bits(_ text: String) -> UInt128? {
        guard let gap = text.firstRange(of: "::") else {
            guard let groups = groups(text, endsAddress: true), groups.count == 8 else {
                return nil
            }
            return groups.reduce(0) { $0 << 16 | UInt128($1) }
        }
        let rest = text[gap.upperBound...]
        guard !rest.contains("::"),
            let head = groups(String(text[..<gap.lowerBound]), endsAddress: false),
            let tail = groups(String(rest), endsAddress: true), head.count + tail.count <= 7
        else { return nil }
        let zeros = [UInt16](repeating: 0, count: 8 - head.count - tail.count)
        return (head + zeros + tail).reduce(0) { $0 << 16 | UInt128($1) }
    }

    /// The 16-bit groups of a colon-separated run; at the end of an address the last part may be a
    /// dotted IPv4 address.
    private static func groups(_ text: String, endsAddress: Bool) -> [UInt16]? {
        if text.isEmpty { return [] }
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        var groups: [UInt16] = []
        for (index, part) in parts.enumerated() {
            if endsAddress, index == parts.count - 1, part.contains(".") {
                guard let bits = v4Bits(part) else { return nil }
                groups += [UInt16(bits >> 16), UInt16(bits & 0xFFFF)]
            } else {
                guard (1...4).contains(part.utf8.count), let group = UInt16(digits: part, radix: 16)
                else { return nil }
                groups.append(group)
            }
        }
        return groups
    }
}

extension IPAddress: CustomStringConvertible {
    /// Dotted IPv4, or IPv6 in the canonical form of RFC 5952.
    public var description: String {
        switch self {
        case .v4(let bits):
            return "\(bits >> 24).\(bits >> 16 & 255).\(bits >> 8 & 255).\(bits & 255)"
        case .v6(let bits, let scope):
            let groups = (0..<8).map { UInt16(truncatingIfNeeded: bits.value >> (112 - 16 * $0)) }
            // IPv4 addresses in IPv6's clothes stay readable (RFC 5952 §5).
            let isMapped = bits.value >> 32 == 0xFFFF
            let text =
                isMapped
                ? "::ffff:\(IPAddress.v4(UInt32(truncatingIfNeeded: bits.low)))"
                : Self.canonical(groups)
            return scope == 0 ? text : "\(text)%\(scope)"
        }
    }

    private static func canonical(_ groups: [UInt16]) -> String {
        var longest = 0..<0
        var start = 0
        while start < groups.count {
            let end = groups[start...].firstIndex { $0 != 0 } ?? groups.count
            if end - start > max(longest.count, 1) { longest = start..<end }
            start = end + 1
        }
        func hex(_ part: some Collection<UInt16>) -> String {
            part.map { String($0, radix: 16) }.joined(separator: ":")
        }
        guard !longest.isEmpty else { return hex(groups) }
        return hex(groups[..<longest.lowerBound]) + "::" + hex(groups[longest.upperBound...])
    }
}

/// The 128 bits of an IPv6 address, kept in two halves: Swift 6.3 misaligns stack slots of enums
/// that carry a UInt128.
public struct IPv6Bits: Hashable, Sendable {
    @usableFromInline package let high: UInt64
    @usableFromInline package let low: UInt64

    /// Whether all bits are equal.
    @inlinable
    public static func == (left: Self, right: Self) -> Bool {
        left.high == right.high && left.low == right.low
    }

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package init(_ value: UInt128) {
        high = UInt64(truncatingIfNeeded: value >> 64)
        low = UInt64(truncatingIfNeeded: value)
    }

    package var value: UInt128 { UInt128(high) << 64 | UInt128(low) }
}

extension IPv6Bits: ExpressibleByIntegerLiteral {
    /// The lower 64 bits; the others are 0.
    public init(integerLiteral value: UInt64) {
        self.init(UInt128(value))
    }
}
