import Primitives

/// Reads one JSON text from the front to the back, keeping the order of an object's members.
///
/// Strict: what RFC 8259 does not allow is an error, because a line that a crash or a full disk
/// cut short must not pass for a record. Unpaired surrogates, which JSON allows and text cannot
/// hold, become U+FFFD.
struct JSONReader {
    static let depthLimit = 16

    struct Malformed: Error, Equatable {
        let offset: Int
    }

    private let bytes: [UInt8]
    private(set) var offset = 0

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Reads an object and hands each member's name to `member`, which must read the value.
    mutating func readObject(
        _ member: (inout JSONReader, String) throws(Malformed) -> Void
    ) throws(Malformed) {
        try expect("{")
        if consume("}") { return }
        repeat {
            let name = try readString()
            try expect(":")
            try member(&self, name)
        } while consume(",")
        try expect("}")
    }

    /// Reads any value; an object, which a log value cannot be, becomes its own source text.
    mutating func readValue(depth: Int = 0) throws(Malformed) -> LogValue {
        guard depth < Self.depthLimit else { throw malformed }
        skipBlanks()
        switch peek {
        case UInt8(ascii: "\""): return .text(try readString())
        case UInt8(ascii: "["): return .list(try readList(depth: depth))
        case UInt8(ascii: "{"):
            let start = offset
            try readObject { reader, _ throws(Malformed) in
                _ = try reader.readValue(depth: depth + 1)
            }
            return .text(String(decoding: bytes[start..<offset], as: UTF8.self))
        case UInt8(ascii: "t"): return try readWord("true", .flag(true))
        case UInt8(ascii: "f"): return try readWord("false", .flag(false))
        case UInt8(ascii: "n"): return try readWord("null", .text("null"))
        default: return try readNumber()
        }
    }

    mutating func expectEnd() throws(Malformed) {
        skipBlanks()
        guard offset == bytes.count else { throw malformed }
    }

    // MARK: Pieces

    private var peek: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    private var malformed: Malformed { Malformed(offset: offset) }

    private mutating func skipBlanks() {
        while let byte = peek, byte == 0x20 || (0x09...0x0D).contains(byte) && byte != 0x0B {
            offset += 1
        }
    }

    private mutating func consume(_ mark: Unicode.Scalar) -> Bool {
        skipBlanks()
        guard peek == UInt8(ascii: mark) else { return false }
        offset += 1
        return true
    }

    private mutating func expect(_ mark: Unicode.Scalar) throws(Malformed) {
        guard consume(mark) else { throw malformed }
    }

    private mutating func readWord(
        _ word: String,
        _ value: LogValue
    ) throws(Malformed) -> LogValue {
        guard bytes[offset...].starts(with: word.utf8) else { throw malformed }
        offset += word.utf8.count
        return value
    }

    private mutating func readList(depth: Int) throws(Malformed) -> [LogValue] {
        try expect("[")
        if consume("]") { return [] }
        var values: [LogValue] = []
        repeat { values.append(try readValue(depth: depth + 1)) } while consume(",")
        try expect("]")
        return values
    }

    private mutating func readNumber() throws(Malformed) -> LogValue {
        let start = offset
        let marks: [UInt8] = [0x2B, 0x2D, 0x2E, 0x45, 0x65]  // + - . E e
        while let byte = peek, (0x30...0x39).contains(byte) || marks.contains(byte) { offset += 1 }
        let digits = bytes[start..<offset]
        let unsigned = digits.first == 0x2D ? digits.dropFirst() : digits
        let text = String(decoding: digits, as: UTF8.self)
        func isDigit(_ byte: UInt8?) -> Bool { byte.map { (0x30...0x39).contains($0) } ?? false }
        // Leading zeros are not JSON.
        guard isDigit(unsigned.first), isDigit(unsigned.last),
            unsigned.first != 0x30 || !isDigit(unsigned.dropFirst().first)
        else { throw Malformed(offset: start) }
        if let integer = Int64(text) { return .integer(integer) }
        guard let number = Double(text), number.isFinite else { throw Malformed(offset: start) }
        return .number(number)
    }
}

// MARK: Strings

extension JSONReader {
    mutating func readString() throws(Malformed) -> String {
        try expect("\"")
        var text: [UInt8] = []
        while let byte = peek {
            offset += 1
            switch byte {
            case UInt8(ascii: "\""): return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"): try readEscape(into: &text)
            case 0..<0x20: throw malformed
            default: text.append(byte)
            }
        }
        throw malformed
    }

    private mutating func readEscape(into text: inout [UInt8]) throws(Malformed) {
        guard let mark = peek else { throw malformed }
        offset += 1
        switch mark {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): text.append(mark)
        case UInt8(ascii: "b"): text.append(0x08)
        case UInt8(ascii: "f"): text.append(0x0C)
        case UInt8(ascii: "n"): text.append(0x0A)
        case UInt8(ascii: "r"): text.append(0x0D)
        case UInt8(ascii: "t"): text.append(0x09)
        case UInt8(ascii: "u"):
            let scalar = try readScalar()
            text.append(contentsOf: UTF8.encode(scalar) ?? UTF8.encodedReplacementCharacter)
        default: throw malformed
        }
    }

    /// The scalar of one `\u` escape whose mark was read, or of a surrogate pair of two.
    private mutating func readScalar() throws(Malformed) -> Unicode.Scalar {
        let unit = try readHexUnit()
        guard (0xD800...0xDBFF).contains(unit) else { return Unicode.Scalar(unit) ?? "\u{FFFD}" }
        guard bytes[offset...].starts(with: "\\u".utf8) else { return "\u{FFFD}" }
        let mark = offset
        offset += 2
        let low = try readHexUnit()
        guard (0xDC00...0xDFFF).contains(low) else {
            // Not its other half: it is read again, as an escape of its own.
            offset = mark
            return "\u{FFFD}"
        }
        let pair = 0x10000 + (UInt32(unit) - 0xD800) << 10 + (UInt32(low) - 0xDC00)
        return Unicode.Scalar(pair) ?? "\u{FFFD}"
    }

    private mutating func readHexUnit() throws(Malformed) -> UInt16 {
        guard bytes.count - offset >= 4 else { throw malformed }
        var unit: UInt16 = 0
        for byte in bytes[offset..<offset + 4] {
            guard let digit = Character(Unicode.Scalar(byte)).hexDigitValue, byte < 0x80 else {
                throw malformed
            }
            unit = unit << 4 | UInt16(digit)
        }
        offset += 4
        return unit
    }
}
