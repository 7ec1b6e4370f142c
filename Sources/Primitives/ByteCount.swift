/// An amount of memory or data, in bytes.
package struct ByteCount: Hashable, Comparable, Sendable {
    package let bytes: UInt64

    package init(_ bytes: UInt64) {
        self.bytes = bytes
    }

    package static let zero = ByteCount(0)

    package static func < (left: Self, right: Self) -> Bool {
        left.bytes < right.bytes
    }

    /// The sum, or the largest value there is.
    package static func + (left: Self, right: Self) -> Self {
        let (sum, overflow) = left.bytes.addingReportingOverflow(right.bytes)
        return ByteCount(overflow ? .max : sum)
    }

    /// The difference, or zero.
    package static func - (left: Self, right: Self) -> Self {
        ByteCount(left.bytes > right.bytes ? left.bytes - right.bytes : 0)
    }
}

extension ByteCount {
    private static let units: [(name: String, shift: UInt64)] = [
        ("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10),
    ]

    /// Reads `2GiB`, `512 MiB`, `1.5GB`, `4096`; KB, MB, GB, TB are decimal; nil for anything else.
    package init?(_ text: some StringProtocol) {
        let numberPart = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unitPart = text.dropFirst(numberPart.count).drop { $0 == " " }.lowercased()
        let factor: UInt64
        switch unitPart {
        case "", "b": factor = 1
        case "k", "kib": factor = 1024
        case "m", "mib": factor = 1_048_576
        case "g", "gib": factor = 1_073_741_824
        case "t", "tib": factor = 1_099_511_627_776
        case "kb": factor = 1000
        case "mb": factor = 1_000_000
        case "gb": factor = 1_000_000_000
        case "tb": factor = 1_000_000_000_000
        default: return nil
        }
        if let whole = UInt64(digits: numberPart) {
            // Not by way of a Double, which is exact up to 2^53 only.
            let (value, overflow) = whole.multipliedReportingOverflow(by: factor)
            guard !overflow else { return nil }
            bytes = value
            return
        }
        guard let number = Double(String(numberPart)) else { return nil }
        let value = number * Double(factor)
        guard value < 0x1p63 else { return nil }
        bytes = UInt64(value)
    }
}

extension ByteCount: CustomStringConvertible {
    /// With one decimal and a binary unit: `1.5 GiB`.
    package var description: String {
        for unit in Self.units where bytes >= 1 << unit.shift {
            let tenths = (bytes >> (unit.shift - 10)) * 10 / 1024
            return "\(tenths / 10).\(tenths % 10) \(unit.name)"
        }
        return "\(bytes) B"
    }
}
