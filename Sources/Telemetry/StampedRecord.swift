package import Primitives

/// A log record and the moment at which it was made.
package struct StampedRecord: Sendable, Equatable {
    package var time: WallTime
    package var record: LogRecord

    package init(time: WallTime, record: LogRecord) {
        self.time = time
        self.record = record
    }
}

/// How large a record may be: what a third-party library logs is not ours to choose, and a queue
/// of records must stay bounded in bytes.
enum RecordLimits {
    static let recordByteLimit = 32 * 1024
    static let idByteLimit = 256
    static let messageByteLimit = 8 * 1024
    static let fieldLimit = 64
    static let listDepthLimit = 8
    /// What an empty field or list element counts for.
    static let valueOverhead = 32
}

extension LogRecord {
    /// Roughly the bytes that the record holds in memory, and a measure of what it costs to print.
    var weight: Int {
        fields.reduce(RecordLimits.valueOverhead + id.utf8.count + message.utf8.count) {
            $0 + $1.key.utf8.count + $1.value.weight
        }
    }

    /// The record within the limits: a long message is cut, and fields that don't fit, or whose
    /// key was there before, are left out and counted in a field `fieldsOmitted`.
    var clipped: LogRecord {
        var clipped = self
        clipped.id = id.clipped(toBytes: RecordLimits.idByteLimit)
        clipped.message = message.clipped(toBytes: RecordLimits.messageByteLimit)
        clipped.fields = []
        var weight = clipped.weight
        for field in fields {
            let added = field.key.utf8.count + field.value.weight
            guard clipped.fields.count < RecordLimits.fieldLimit - 1,
                weight + added <= RecordLimits.recordByteLimit,
                field.value.depth <= RecordLimits.listDepthLimit,
                !clipped.fields.contains(where: { $0.key == field.key })
            else { continue }
            clipped.fields.append(field)
            weight += added
        }
        let omitted = fields.count - clipped.fields.count
        if omitted > 0 {
            clipped.fields.append((key: "fieldsOmitted", value: .integer(Int64(omitted))))
        }
        return clipped
    }

    /// Whether `clipped` would change nothing.
    func isWithinLimits(weight: Int) -> Bool {
        guard weight <= RecordLimits.messageByteLimit, fields.count < RecordLimits.fieldLimit,
            id.utf8.count <= RecordLimits.idByteLimit
        else { return false }
        for (index, field) in fields.enumerated() {
            if case .list = field.value, field.value.depth > RecordLimits.listDepthLimit {
                return false
            }
            for earlier in fields[..<index] where earlier.key == field.key { return false }
        }
        return true
    }
}

extension LogValue {
    fileprivate var weight: Int {
        switch self {
        case .text(let text): RecordLimits.valueOverhead + text.utf8.count
        case .integer, .number, .flag: RecordLimits.valueOverhead
        case .list(let values): values.reduce(RecordLimits.valueOverhead) { $0 + $1.weight }
        }
    }

    fileprivate var depth: Int {
        guard case .list(let values) = self else { return 0 }
        return 1 + values.reduce(0) { max($0, $1.depth) }
    }
}

extension String {
    /// At most that many bytes of UTF-8, cut between characters, with a mark where it was cut.
    func clipped(toBytes limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var end = utf8.index(utf8.startIndex, offsetBy: limit)
        while end.samePosition(in: unicodeScalars) == nil { end = utf8.index(before: end) }
        return self[..<end] + "…"
    }
}
