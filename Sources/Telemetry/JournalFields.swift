import Primitives

/// A record as the fields of a journald entry: `MESSAGE=…`, `CARAVAN_TERM=3`.
struct JournalFields: Equatable {
    /// Above this many fields, lists are written as JSON text instead of one field an element.
    private static let fieldLimit = 256
    private static let nameByteLimit = 64

    /// All fields, one after the other.
    private(set) var bytes: [UInt8] = []
    /// How long each of them is.
    private(set) var lengths: [Int32] = []

    init(_ stamped: StampedRecord, agent: String) {
        let record = stamped.record
        append("MESSAGE", .text(record.message))
        append("PRIORITY", .text(Self.priority(of: record.level)))
        append("SYSLOG_IDENTIFIER", "caravan")
        append("CARAVAN_EVENT", .text(record.id))
        append("CARAVAN_LEVEL", .text(record.level.rawValue))
        append("CARAVAN_AGENT", .text(agent))
        var time: [UInt8] = []
        time.append(rfc3339: stamped.time)
        append("CARAVAN_TIME", .text(String(decoding: time, as: UTF8.self)))
        for field in record.fields {
            let name = Self.name(of: field.key)
            // The journal shows a field with several values as an array.
            if case .list(let values) = field.value, !values.isEmpty,
                lengths.count + values.count <= Self.fieldLimit
            {
                for value in values { append(name, value) }
            } else {
                append(name, field.value)
            }
        }
    }

    private mutating func append(_ name: String, _ value: LogValue) {
        let start = bytes.count
        bytes.append(contentsOf: name.utf8)
        bytes.append(UInt8(ascii: "="))
        if case .text(let text) = value {
            bytes.append(contentsOf: text.utf8)
        } else {
            bytes.append(json: value)
        }
        lengths.append(Int32(bytes.count - start))
    }

    /// syslog's severities, which have no word for trace (`syslog.h`).
    private static func priority(of level: LogLevel) -> String {
        switch level {
        case .trace, .debug: "7"
        case .info: "6"
        case .notice: "5"
        case .warning: "4"
        case .error: "3"
        case .critical: "2"
        }
    }

    /// `bytesPerSecond` becomes `CARAVAN_BYTES_PER_SECOND`; what journald does not allow, `_`.
    static func name(of key: String) -> String {
        var name = ""
        var previous: Unicode.Scalar = "_"
        for scalar in key.unicodeScalars {
            switch scalar {
            case "a"..."z": name.unicodeScalars.append(Unicode.Scalar(scalar.value - 32) ?? "_")
            case "0"..."9": name.unicodeScalars.append(scalar)
            case "A"..."Z":
                if ("a"..."z").contains(previous) || ("0"..."9").contains(previous) {
                    name += "_"
                }
                name.unicodeScalars.append(scalar)
            default: name += "_"
            }
            previous = scalar
        }
        switch name {
        // These say something else already.
        case "EVENT", "LEVEL", "AGENT", "TIME": name = "FIELD_" + name
        default: break
        }
        return String(("CARAVAN_" + name).prefix(nameByteLimit))
    }
}
