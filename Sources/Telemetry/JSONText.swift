import Primitives

/// The names of a JSON line's members, in the order in which they are written.
enum JSONLineKey {
    static let time = "time"
    static let level = "level"
    static let id = "id"
    static let message = "message"
    static let agent = "agent"
    static let fields = "fields"
}

/// Writes records as JSON lines: one object a line, ASCII control characters always escaped.
struct JSONLineFormat: Sendable {
    /// `"agent":"…"` is the same in every line.
    private let agentMember: [UInt8]

    init(agent: String) {
        var member: [UInt8] = []
        member.append(json: JSONLineKey.agent)
        member.append(UInt8(ascii: ":"))
        member.append(json: agent)
        agentMember = member
    }

    func append(_ stamped: StampedRecord, to line: inout [UInt8]) {
        let record = stamped.record
        line.append(ascii: "{\"time\":\"")
        line.append(rfc3339: stamped.time)
        line.append(ascii: "\",\"level\":\"")
        line.append(contentsOf: record.level.rawValue.utf8)
        line.append(ascii: "\",\"id\":")
        line.append(json: record.id)
        line.append(ascii: ",\"message\":")
        line.append(json: record.message)
        line.append(UInt8(ascii: ","))
        line.append(contentsOf: agentMember)
        line.append(ascii: ",\"fields\":{")
        for (index, field) in record.fields.enumerated() {
            if index > 0 { line.append(UInt8(ascii: ",")) }
            line.append(json: field.key)
            line.append(UInt8(ascii: ":"))
            line.append(json: field.value)
        }
        line.append(ascii: "}}\n")
    }
}

extension [UInt8] {
    mutating func append(ascii text: StaticString) {
        append(contentsOf: text.description.utf8)
    }

    /// Appends a JSON value; a number that JSON has no word for (infinity, NaN) becomes text.
    mutating func append(json value: LogValue) {
        switch value {
        case .text(let text): append(json: text)
        case .integer(let integer): append(contentsOf: String(integer).utf8)
        case .number(let number) where number.isFinite:
            append(contentsOf: number.description.utf8)
        case .number(let number): append(json: number.description)
        case .flag(let flag): append(contentsOf: (flag ? "true" : "false").utf8)
        case .list(let values):
            append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { append(UInt8(ascii: ",")) }
                append(json: value)
            }
            append(UInt8(ascii: "]"))
        }
    }

    /// Appends a JSON string with its quotes.
    ///
    /// Besides what JSON demands, DEL and the C1 controls are escaped, so that a log that is shown
    /// with `cat` cannot steer the terminal.
    mutating func append(json text: String) {
        append(UInt8(ascii: "\""))
        let bytes = text.utf8.span
        var isPlain = true
        for index in bytes.indices {
            let byte = bytes[index]
            // 0xC2 leads U+0080…U+00BF, of which the first half are controls.
            if byte < 0x20 || byte == 0x22 || byte == 0x5C || byte == 0x7F || byte == 0xC2 {
                isPlain = false
                break
            }
        }
        if isPlain {
            append(contentsOf: text.utf8)
        } else {
            for scalar in text.unicodeScalars { append(jsonEscaped: scalar) }
        }
        append(UInt8(ascii: "\""))
    }

    private mutating func append(jsonEscaped scalar: Unicode.Scalar) {
        switch scalar {
        case "\"": append(ascii: "\\\"")
        case "\\": append(ascii: "\\\\")
        case "\n": append(ascii: "\\n")
        case "\r": append(ascii: "\\r")
        case "\t": append(ascii: "\\t")
        case "\u{0}"..<"\u{20}", "\u{7F}"..<"\u{A0}":
            append(ascii: "\\u00")
            for shift in [4, 0] {
                let digit = UInt8(truncatingIfNeeded: scalar.value >> shift) & 15
                append(digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            }
        default: append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        }
    }
}
