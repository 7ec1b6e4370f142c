import Primitives

/// Writes the lines of a trace and keeps what only lines need; there is none when none are wanted.
///
/// Nothing here reaches the hash or the run: a trace may be written or not.
final class TraceWriter {
    private let write: (String) -> Void
    private var index: UInt64 = 0
    private var cause: UInt64 = 0
    /// For each event, itself if it wrote a line, otherwise the closest one before it that did.
    private var shown: [UInt64] = [0]
    private var lastPacket: UInt64 = 0
    /// Datagrams that nobody has taken yet, looked up by number only.
    private var underWay: [UInt64: Packet] = [:]
    private var states: [TraceState?]

    init(nodeCount: Int, write: @escaping (String) -> Void) {
        states = Array(repeating: nil, count: nodeCount)
        self.write = write
    }

    func begin(_ index: UInt64, cause: UInt64) {
        self.index = index
        self.cause = shown[Int(cause)]
        shown.append(self.cause)
    }

    func line(
        _ kind: Trace.Kind,
        _ now: Int64,
        node: Int?,
        from: Int?,
        to: Int?,
        _ message: String,
        _ details: [TraceDetail]
    ) {
        shown[Int(index)] = index
        var text = "{\"i\":\(index),\"t\":\(Double(now) / 1e9)"
        if let node { text += ",\"node\":\"\(Scenario.name(of: node))\"" }
        text += ",\"kind\":\"\(kind.rawValue)\""
        if let from { text += ",\"from\":\"\(Scenario.name(of: from))\"" }
        if let to { text += ",\"to\":\"\(Scenario.name(of: to))\"" }
        for detail in details { text += ",\"\(detail.key)\":\(detail.json)" }
        text += ",\"cause\":\(cause),\"message\":\(JSONText.quoted(message))}"
        write(text)
    }

    // MARK: - Packets

    /// A number by which the line of a datagram's arrival is matched with that of its sending.
    func number(_ packet: Packet) {
        lastPacket += 1
        packet.number = lastPacket
        underWay[lastPacket] = packet
    }

    func arrived(_ packet: Packet) {
        underWay[packet.number] = nil
    }

    /// What is still under way, in the order in which it was sent.
    func takeUnderWay() -> [Packet] {
        let packets = underWay.values.sorted { $0.number < $1.number }
        underWay = [:]
        return packets
    }

    // MARK: - States

    func state(of node: Int) -> TraceState? { states[node] }

    /// Whether that is another state than before.
    func keep(_ state: TraceState, of node: Int) -> Bool {
        guard states[node] != state else { return false }
        states[node] = state
        return true
    }
}

/// A field that only some kinds of lines have.
enum TraceDetail {
    case text(String, String)
    case number(String, UInt64)
    case nodes(String, [Int])
    case names(String, [String])

    var key: String {
        switch self {
        case .text(let key, _), .number(let key, _), .nodes(let key, _), .names(let key, _): key
        }
    }

    var json: String {
        switch self {
        case .text(_, let text): JSONText.quoted(text)
        case .number(_, let number): "\(number)"
        case .nodes(_, let nodes):
            "[" + nodes.map { "\"\(Scenario.name(of: $0))\"" }.joined(separator: ",") + "]"
        case .names(_, let names): "[" + names.map(JSONText.quoted).joined(separator: ",") + "]"
        }
    }
}

enum JSONText {
    static func quoted(_ text: String) -> String {
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
