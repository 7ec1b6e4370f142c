import Primitives

/// Writes records as people read them: `12:01:33.123 INFO  Node elected Master  term=3`.
package struct TerminalFormat: Sendable {
    package enum Zone: Sendable { case local, utc }

    package var colours: Bool
    /// For a log of several days; a running agent's terminal shows only the time.
    package var showsDate: Bool
    package var zone: Zone

    package init(colours: Bool, showsDate: Bool = false, zone: Zone = .local) {
        self.colours = colours
        self.showsDate = showsDate
        self.zone = zone
    }

    /// Appends one line with its line feed; nothing in a record can add another, or steer the
    /// terminal.
    package func append(_ stamped: StampedRecord, to line: inout [UInt8]) {
        let civil = CivilTime(zone == .local ? stamped.time.shiftedToLocal : stamped.time)
        set("2", in: &line)
        if showsDate {
            line.append(date: civil)
            line.append(UInt8(ascii: " "))
        }
        line.append(clock: civil)
        line.append(UInt8(ascii: "."))
        line.append(civil.nanosecond / 1_000_000, digits: 3)
        set("0", in: &line)
        line.append(UInt8(ascii: " "))
        set(Self.colour(of: stamped.record.level), in: &line)
        line.append(contentsOf: Self.label(of: stamped.record.level).utf8)
        set("0", in: &line)
        line.append(UInt8(ascii: " "))
        line.append(printable: stamped.record.message)
        if !stamped.record.fields.isEmpty {
            set("2", in: &line)
            line.append(UInt8(ascii: " "))
            for field in stamped.record.fields {
                line.append(UInt8(ascii: " "))
                line.append(printable: field.key)
                line.append(UInt8(ascii: "="))
                line.append(readable: field.value)
            }
            set("0", in: &line)
        }
        line.append(UInt8(ascii: "\n"))
    }

    private func set(_ code: String, in line: inout [UInt8]) {
        guard colours else { return }
        line.append(ascii: "\u{1B}[")
        line.append(contentsOf: code.utf8)
        line.append(UInt8(ascii: "m"))
    }

    /// Five columns wide.
    private static func label(of level: LogLevel) -> String {
        switch level {
        case .trace: "TRACE"
        case .debug: "DEBUG"
        case .info: "INFO "
        case .notice: "NOTE "
        case .warning: "WARN "
        case .error: "ERROR"
        case .critical: "CRIT "
        }
    }

    private static func colour(of level: LogLevel) -> String {
        switch level {
        case .trace, .debug: "2"
        case .info: "32"
        case .notice: "36"
        case .warning: "33"
        case .error: "31"
        case .critical: "1;31"
        }
    }
}

extension [UInt8] {
    /// Appends a value: quoted when that is needed to see where it ends, a node's identity short.
    mutating func append(readable value: LogValue) {
        switch value {
        case .text(let text):
            if text.utf8.count == 2 * NodeID.byteCount, let node = NodeID(text) {
                append(contentsOf: node.short.utf8)
            } else if text.isEmpty || text.utf8.contains(where: Self.needsQuotes) {
                append(UInt8(ascii: "\""))
                append(printable: text, escapingQuotes: true)
                append(UInt8(ascii: "\""))
            } else {
                append(printable: text)
            }
        case .integer(let integer): append(contentsOf: integer.description.utf8)
        case .number(let number): append(contentsOf: number.description.utf8)
        case .flag(let flag): append(contentsOf: flag.description.utf8)
        case .list(let values):
            append(UInt8(ascii: "["))
            for (index, value) in values.enumerated() {
                if index > 0 { append(UInt8(ascii: ",")) }
                append(readable: value)
            }
            append(UInt8(ascii: "]"))
        }
    }

    private static func needsQuotes(_ byte: UInt8) -> Bool {
        // space " = , [ ]
        byte <= 0x20 || byte == 0x22 || byte == 0x3D || byte == 0x2C || byte == 0x5B || byte == 0x5D
    }

    /// Appends text in which no control character is left.
    mutating func append(printable text: String, escapingQuotes: Bool = false) {
        let isPlain = text.utf8.allSatisfy { byte in
            (0x20..<0x7F).contains(byte) && !(escapingQuotes && (byte == 0x22 || byte == 0x5C))
        }
        if isPlain {
            append(contentsOf: text.utf8)
            return
        }
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"" where escapingQuotes: append(ascii: "\\\"")
            case "\\" where escapingQuotes: append(ascii: "\\\\")
            case " "..<"\u{7F}": append(UInt8(truncatingIfNeeded: scalar.value))
            case "\n": append(ascii: "\\n")
            case "\r": append(ascii: "\\r")
            case "\t": append(ascii: "\\t")
            case _ where scalar.steersTerminal:
                append(contentsOf: "\\u{\(String(scalar.value, radix: 16))}".utf8)
            default: append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
            }
        }
    }
}

extension Unicode.Scalar {
    /// Controls of C0 and C1, line separators, and the marks that reverse the direction of text,
    /// with which a line could be made to read as another.
    fileprivate var steersTerminal: Bool {
        switch value {
        case 0..<0x20, 0x7F..<0xA0, 0x061C, 0x200E, 0x200F, 0x2028...0x202E, 0x2066...0x2069,
            0xFEFF:
            true
        default: false
        }
    }
}
