/// One event of a `text/event-stream`.
package struct ServerSentEvent: Sendable, Equatable {
    /// The event's name, `message` if the stream gave none.
    package var event: String
    /// Its data, lines joined with newlines.
    package var data: String

    package init(event: String, data: String) {
        self.event = event
        self.data = data
    }
}

/// Reads server-sent events from bytes that arrive in any pieces (WHATWG HTML §9.2.6).
package struct ServerSentEventParser {
    /// The longest line and the longest event's data, in bytes; a longer one ends the stream.
    static let byteLimit = 4 << 20

    private var line: [UInt8] = []
    private var event = ""
    private var data: [String] = []
    private var dataByteCount = 0
    private var endedWithCarriageReturn = false

    package init() {}

    /// Takes more bytes; returns the events they completed, or nil past the limit.
    package mutating func append(_ bytes: some Sequence<UInt8>) -> [ServerSentEvent]? {
        var events: [ServerSentEvent] = []
        for byte in bytes {
            defer { endedWithCarriageReturn = byte == UInt8(ascii: "\r") }
            switch byte {
            case UInt8(ascii: "\n") where endedWithCarriageReturn:
                continue
            case UInt8(ascii: "\n"), UInt8(ascii: "\r"):
                if let complete = endLine() { events.append(complete) }
            default:
                line.append(byte)
            }
            if line.count + dataByteCount > Self.byteLimit { return nil }
        }
        return events
    }

    private mutating func endLine() -> ServerSentEvent? {
        defer { line.removeAll(keepingCapacity: true) }
        if line.isEmpty { return endEvent() }
        let colon = line.firstIndex(of: UInt8(ascii: ":")) ?? line.endIndex
        var value = line[colon...].dropFirst()
        if value.first == UInt8(ascii: " ") { value = value.dropFirst() }
        switch String(decoding: line[..<colon], as: UTF8.self) {
        case "data":
            data.append(String(decoding: value, as: UTF8.self))
            dataByteCount += value.count
        case "event":
            event = String(decoding: value, as: UTF8.self)
        default:
            break
        }
        return nil
    }

    private mutating func endEvent() -> ServerSentEvent? {
        defer {
            event = ""
            data.removeAll()
            dataByteCount = 0
        }
        guard !data.isEmpty else { return nil }
        return ServerSentEvent(
            event: event.isEmpty ? "message" : event,
            data: data.joined(separator: "\n")
        )
    }
}
