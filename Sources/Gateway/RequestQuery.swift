/// The `name=value` pairs behind a path's question mark.
package struct RequestQuery: Equatable, Sendable {
    private var values: [String: String] = [:]

    /// - Parameter target: a path, with or without a query; of a name that comes twice the first
    ///   counts.
    package init(of target: String) {
        guard let mark = target.firstIndex(of: "?") else { return }
        for pair in target[target.index(after: mark)...].split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let name = PercentEncoding.decoded(parts[0])
            guard values[name] == nil else { continue }
            values[name] = parts.count == 2 ? PercentEncoding.decoded(parts[1]) : ""
        }
    }

    subscript(_ name: String) -> String? { values[name] }

    /// Whether something is asked for: `follow`, `follow=1`, `follow=true`.
    func isSet(_ name: String) -> Bool {
        ["", "1", "true"].contains(values[name])
    }
}

/// What URLs write as `%2F`.
package enum PercentEncoding {
    /// Replaces escapes; what is no escape stays as it is.
    static func decoded(_ text: Substring) -> String {
        var decoded: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2, rest.first != UInt8(ascii: "+"),
                let value = UInt8(Substring(rest.prefix(2)), radix: 16)
            {
                decoded.append(value)
                rest = rest.dropFirst(2)
            } else {
                decoded.append(byte)
            }
        }
        return String(decoding: decoded, as: UTF8.self)
    }

    /// Escapes everything but letters, digits, `-`, `.`, `_` and `~`.
    package static func encoded(_ text: String) -> String {
        var encoded = ""
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."),
                UInt8(ascii: "_"), UInt8(ascii: "~"):
                encoded.unicodeScalars.append(Unicode.Scalar(byte))
            default:
                let digits = String(byte, radix: 16, uppercase: true)
                encoded += digits.count == 1 ? "%0\(digits)" : "%\(digits)"
            }
        }
        return encoded
    }
}
