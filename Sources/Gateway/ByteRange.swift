/// Which part of a file a request asks for, by `Range: bytes=…` (RFC 9110, one range only).
package enum ByteRange: Equatable, Sendable {
    /// No range, or one that is not understood: then the whole is the answer.
    case whole
    case part(Range<UInt64>)
    /// Nothing of the file lies in it.
    case unsatisfiable

    package init(_ field: String?, of byteCount: UInt64) {
        self = .whole
        guard let field, field.hasPrefix("bytes=") else { return }
        let parts = field.dropFirst("bytes=".count)
            .split(separator: "-", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, !field.contains(",") else { return }
        switch (Self.number(parts[0]), Self.number(parts[1])) {
        case (let first?, let last):
            guard last != nil || parts[1].isEmpty, first <= last ?? .max else { return }
            guard first < byteCount else {
                self = .unsatisfiable
                return
            }
            self = .part(first..<min(byteCount, (last ?? .max - 1) + 1))
        case (nil, let count?) where parts[0].isEmpty:
            guard count > 0, byteCount > 0 else {
                self = .unsatisfiable
                return
            }
            self = .part(byteCount - min(count, byteCount)..<byteCount)
        case (nil, _): return
        }
    }

    private static func number(_ digits: Substring) -> UInt64? {
        guard !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }),
            let number = UInt64(digits), number < .max
        else { return nil }
        return number
    }
}
