import Primitives

/// One line of a JSON lines log, as it stands in the file and as what it says.
package struct LogLine: Sendable, Equatable {
    /// Without the line feed.
    package let json: String
    package let agent: String
    package let stamped: StampedRecord

    /// Reads a line; nil if it is not a record of ours.
    ///
    /// Members that this version does not know are passed over, so that an older `caravan logs`
    /// reads a newer agent's log.
    package init?(_ bytes: [UInt8]) {
        var time: WallTime?
        var level: LogLevel?
        var id: String?
        var message: String?
        var agent = ""
        var fields: [(key: String, value: LogValue)] = []
        var reader = JSONReader(bytes)
        do throws(JSONReader.Malformed) {
            try reader.readObject { reader, name throws(JSONReader.Malformed) in
                switch name {
                case JSONLineKey.time: time = WallTime(rfc3339: try reader.readString())
                case JSONLineKey.level: level = LogLevel(rawValue: try reader.readString())
                case JSONLineKey.id: id = try reader.readString()
                case JSONLineKey.message: message = try reader.readString()
                case JSONLineKey.agent: agent = try reader.readString()
                case JSONLineKey.fields:
                    try reader.readObject { reader, key throws(JSONReader.Malformed) in
                        fields.append((key: key, value: try reader.readValue()))
                    }
                default: _ = try reader.readValue()
                }
            }
            try reader.expectEnd()
        } catch {
            return nil
        }
        guard let time, let level, let id, let message else { return nil }
        var record = LogRecord(id, level, message)
        record.fields = fields
        self.json = String(decoding: bytes, as: UTF8.self)
        self.agent = agent
        self.stamped = StampedRecord(time: time, record: record)
    }

    /// The line as a terminal shows it, without a line feed.
    package func readable(_ format: TerminalFormat) -> String {
        var text: [UInt8] = []
        format.append(stamped, to: &text)
        return String(decoding: text.dropLast(), as: UTF8.self)
    }
}
