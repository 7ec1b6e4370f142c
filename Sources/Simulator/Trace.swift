import Primitives

/// What happened, as a rolling hash always and as JSON lines on demand.
struct Trace {
    enum Kind: String {
        case timer, action, job, deliver, outside, send, lost, log, fault, start, stop
        case violation
    }

    private(set) var hash: UInt64 = 0xCBF2_9CE4_8422_2325
    /// The number of the event that is being handled.
    private(set) var index: UInt64 = 0
    private var cause: UInt64 = 0
    private let write: ((String) -> Void)?

    init(write: ((String) -> Void)?) {
        self.write = write
    }

    var isWriting: Bool { write != nil }

    mutating func begin(_ kind: Kind, _ now: Int64, _ node: Int, _ cause: UInt64) {
        index += 1
        self.cause = cause
        mix(UInt64(bitPattern: now))
        mix(UInt64(truncatingIfNeeded: node) << 8 | kind.code)
    }

    mutating func mix(_ value: UInt64) {
        hash = (hash ^ value) &* 0x9E37_79B9_7F4A_7C15
        hash ^= hash >> 29
    }

    mutating func mix(_ bytes: [UInt8]) {
        var word: UInt64 = UInt64(bytes.count)
        let span = bytes.span
        for index in span.indices {
            word = word << 8 | UInt64(span[index])
            if index & 7 == 7 {
                mix(word)
                word = 0
            }
        }
        mix(word)
    }

    mutating func mix(_ text: String) {
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3 }
    }

    /// Writes a line about something that belongs to the current event.
    func line(
        _ kind: Kind,
        _ now: Int64,
        from: Int?,
        to: Int?,
        _ message: @autoclosure () -> String
    ) {
        guard let write else { return }
        var text = "{\"i\":\(index),\"t\":\(Double(now) / 1e9),\"kind\":\"\(kind.rawValue)\""
        if let from { text += ",\"from\":\"\(Scenario.name(of: from))\"" }
        if let to { text += ",\"to\":\"\(Scenario.name(of: to))\"" }
        text += ",\"cause\":\(cause),\"message\":\(Self.quoted(message()))}"
        write(text)
    }

    private static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\u{0}"..<" ", "\u{7F}": result += " "
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}

extension Trace.Kind {
    fileprivate var code: UInt64 {
        switch self {
        case .timer: 1
        case .action: 2
        case .job: 3
        case .deliver: 4
        case .outside: 5
        case .send, .lost, .log, .fault, .start, .stop, .violation: 6
        }
    }
}
