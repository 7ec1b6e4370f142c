internal import Crypto
internal import FoundationEssentials

/// What names a piece of a tensor: the SHA-256 of its bytes.
///
/// Equal bytes have one name, whatever model, tensor or device they are of.
package struct PieceName: Hashable, Sendable {
    package static let byteCount = 32

    private let first: UInt64
    private let second: UInt64
    private let third: UInt64
    private let fourth: UInt64

    package init(of bytes: ArraySlice<UInt8>) {
        var digest: [UInt8] = []
        digest.reserveCapacity(Self.byteCount)
        digest += SHA256.hash(data: bytes)
        self.init(digest: digest[...])
    }

    /// - Parameter digest: 32 bytes.
    init(digest: ArraySlice<UInt8>) {
        precondition(digest.count == Self.byteCount, "a SHA-256 has 32 bytes")
        func word(_ index: Int) -> UInt64 {
            digest.dropFirst(8 * index).prefix(8).reduce(0) { $0 << 8 | UInt64($1) }
        }
        (first, second, third, fourth) = (word(0), word(1), word(2), word(3))
    }

    /// Reads 64 lower-case hexadecimal digits; nil for anything else.
    package init?(_ text: some StringProtocol) {
        let digits = text.utf8
        guard digits.count == 2 * Self.byteCount else { return nil }
        var digest: [UInt8] = []
        var high: UInt8?
        for digit in digits {
            let value: UInt8
            switch digit {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = digit - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = digit - UInt8(ascii: "a") + 10
            default: return nil
            }
            if let before = high {
                digest.append(before << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        self.init(digest: digest[...])
    }

    package func append(to bytes: inout [UInt8]) {
        for word in [first, second, third, fourth] {
            for shift in stride(from: 56, through: 0, by: -8) {
                bytes.append(UInt8(truncatingIfNeeded: word >> UInt64(shift)))
            }
        }
    }
}

extension PieceName: CustomStringConvertible {
    package var description: String {
        var bytes: [UInt8] = []
        append(to: &bytes)
        let digits = Array("0123456789abcdef".utf8)
        return String(
            decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] },
            as: UTF8.self
        )
    }
}
