/// A place in a text; both numbers count from 1.
package struct SourcePosition: Equatable, Sendable {
    package var line: Int
    package var column: Int
}

/// A JSON value that knows where it stands, so that what is wrong with it can be shown.
struct JSONValue {
    var content: Content
    var position: SourcePosition

    enum Content {
        case object([JSONMember])
        case array([JSONValue])
        case text(String)
        case number(Double)
        case flag(Bool)
        case null
    }

    /// For errors: `a text`, `an object`.
    var kind: String {
        switch content {
        case .object: "an object"
        case .array: "a list"
        case .text: "a text"
        case .number: "a number"
        case .flag: "true or false"
        case .null: "null"
        }
    }
}

struct JSONMember {
    var name: String
    var position: SourcePosition
    var value: JSONValue
}

/// Reads JSON (RFC 8259), strictly, and says where it stops being that.
struct JSONSource {
    static let byteLimit = 1 << 20
    static let depthLimit = 32

    private let bytes: [UInt8]
    private var offset = 0
    private var line = 1
    private var lineStart = 0

    static func read(_ bytes: [UInt8]) throws(ScenarioError) -> JSONValue {
        guard bytes.count <= byteLimit else {
            throw ScenarioError(
                "the file has \(bytes.count) bytes; a scenario has at most \(byteLimit)"
            )
        }
        var source = JSONSource(bytes: bytes)
        let value = try source.readValue(depth: 0)
        source.skipBlanks()
        guard source.peek == nil else {
            throw source.error("expected the end of the file after the scenario's object")
        }
        return value
    }

    private init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    private var peek: UInt8? { offset < bytes.count ? bytes[offset] : nil }

    private var position: SourcePosition {
        SourcePosition(line: line, column: offset - lineStart + 1)
    }

    private func error(_ message: String) -> ScenarioError {
        ScenarioError(message, at: position)
    }

    private func unexpected(_ expected: String) -> ScenarioError {
        guard let byte = peek else { return error("the file ends where \(expected) was expected") }
        let isPrintable = (0x21..<0x7F).contains(byte)
        let found = isPrintable ? "'\(Character(Unicode.Scalar(byte)))'" : "byte \(byte)"
        return error("expected \(expected), found \(found)")
    }

    private mutating func skipBlanks() {
        while let byte = peek {
            switch byte {
            case 0x20, 0x09, 0x0D: offset += 1
            case 0x0A:
                offset += 1
                line += 1
                lineStart = offset
            default: return
            }
        }
    }

    private mutating func consume(_ mark: Unicode.Scalar) -> Bool {
        skipBlanks()
        guard peek == UInt8(ascii: mark) else { return false }
        offset += 1
        return true
    }

    private mutating func readValue(depth: Int) throws(ScenarioError) -> JSONValue {
        skipBlanks()
        let start = position
        guard depth < Self.depthLimit else {
            throw error("nested more than \(Self.depthLimit) deep")
        }
        let content: JSONValue.Content
        switch peek {
        case UInt8(ascii: "{"): content = .object(try readMembers(depth: depth))
        case UInt8(ascii: "["): content = .array(try readElements(depth: depth))
        case UInt8(ascii: "\""): content = .text(try readText())
        case UInt8(ascii: "t"): content = try readWord("true", .flag(true))
        case UInt8(ascii: "f"): content = try readWord("false", .flag(false))
        case UInt8(ascii: "n"): content = try readWord("null", .null)
        default: content = .number(try readNumber())
        }
        return JSONValue(content: content, position: start)
    }

    private mutating func readMembers(depth: Int) throws(ScenarioError) -> [JSONMember] {
        offset += 1
        var members: [JSONMember] = []
        var names: Set<String> = []
        if consume("}") { return members }
        repeat {
            skipBlanks()
            let start = position
            guard peek == UInt8(ascii: "\"") else { throw unexpected("a key in quotes") }
            let name = try readText()
            guard names.insert(name).inserted else {
                throw ScenarioError("the key \"\(name)\" appears twice", at: start)
            }
            guard consume(":") else { throw unexpected("':' after the key \"\(name)\"") }
            let value = try readValue(depth: depth + 1)
            members.append(JSONMember(name: name, position: start, value: value))
        } while consume(",")
        guard consume("}") else { throw unexpected("',' or '}'") }
        return members
    }

    private mutating func readElements(depth: Int) throws(ScenarioError) -> [JSONValue] {
        offset += 1
        var elements: [JSONValue] = []
        if consume("]") { return elements }
        repeat { elements.append(try readValue(depth: depth + 1)) } while consume(",")
        guard consume("]") else { throw unexpected("',' or ']'") }
        return elements
    }

    private mutating func readWord(
        _ word: String,
        _ content: JSONValue.Content
    ) throws(ScenarioError) -> JSONValue.Content {
        guard bytes[offset...].starts(with: word.utf8) else { throw unexpected("a value") }
        offset += word.utf8.count
        return content
    }

    private mutating func readNumber() throws(ScenarioError) -> Double {
        let start = offset
        while let byte = peek, (0x30...0x39).contains(byte) || "+-.eE".utf8.contains(byte) {
            offset += 1
        }
        let text = String(decoding: bytes[start..<offset], as: UTF8.self)
        let digits = text.hasPrefix("-") ? text.dropFirst() : text[...]
        guard let first = digits.utf8.first, let last = digits.utf8.last,
            (0x30...0x39).contains(first), (0x30...0x39).contains(last),
            first != 0x30 || !(digits.utf8.dropFirst().first.map { (0x30...0x39) ~= $0 } ?? false),
            let number = Double(text), number.isFinite
        else {
            offset = start
            throw unexpected("a value")
        }
        return number
    }

    private mutating func readText() throws(ScenarioError) -> String {
        offset += 1
        var text: [UInt8] = []
        while let byte = peek {
            switch byte {
            case UInt8(ascii: "\""):
                offset += 1
                guard let valid = String(validating: text, as: UTF8.self) else {
                    throw error("this text is not UTF-8")
                }
                return valid
            case UInt8(ascii: "\\"):
                offset += 1
                text += try readEscape()
            case 0..<0x20: throw error("a control character must be escaped in a text")
            default:
                text.append(byte)
                offset += 1
            }
        }
        throw error("a text is not closed by '\"'")
    }

    private mutating func readEscape() throws(ScenarioError) -> [UInt8] {
        guard let mark = peek else { throw error("a text is not closed by '\"'") }
        offset += 1
        switch mark {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): return [mark]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "u"):
            let digits = String(decoding: bytes[offset...].prefix(4), as: UTF8.self)
            guard digits.utf8.count == 4, let value = UInt16(digits, radix: 16),
                let scalar = Unicode.Scalar(value)
            else { throw error("expected four hexadecimal digits of a character") }
            offset += 4
            return Array(String(Character(scalar)).utf8)
        default: throw error("there is no escape '\\' with byte \(mark)")
        }
    }
}
