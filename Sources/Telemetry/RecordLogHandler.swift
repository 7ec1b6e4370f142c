package import Logging
import Primitives

/// The one swift-log handler: turns every event, ours or a library's, into a record and hands it
/// to the sinks.
package struct RecordLogHandler: LogHandler {
    package let label: String
    package var logLevel: Logger.Level
    package var metadata: Logger.Metadata = [:]
    package var metadataProvider: Logger.MetadataProvider?
    private let sinks: LogSinks

    init(label: String, logLevel: Logger.Level, sinks: LogSinks) {
        self.label = label
        self.logLevel = logLevel
        self.sinks = sinks
    }

    package subscript(metadataKey key: String) -> Logger.MetadataValue? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    package func log(event: LogEvent) {
        sinks.accept(record(of: event))
    }

    /// A record that came through `log(record:)` as it was; anything else as `log.<label>`.
    func record(of event: LogEvent) -> LogRecord {
        var record: LogRecord
        if case .stringConvertible(let carrier as CarriedRecord)? =
            event.metadata?[CarriedRecord.metadataKey]
        {
            record = carrier.record
            // Another handler on the way may have raised or lowered it.
            record.level = LogLevel(event.level)
        } else {
            record = LogRecord("log.\(label)", LogLevel(event.level), event.message.description)
        }
        appendContext(of: event, to: &record)
        return record
    }

    /// Adds metadata as fields, sorted by key because dictionaries have no order of their own.
    ///
    /// As in swift-log, the event's own values win over the provider's, and those over the
    /// logger's.
    private func appendContext(of event: LogEvent, to record: inout LogRecord) {
        var context = metadata
        if let provided = metadataProvider?.get(), !provided.isEmpty {
            context.merge(provided) { _, new in new }
        }
        if let own = event.metadata, !own.isEmpty {
            context.merge(own) { _, new in new }
        }
        context[CarriedRecord.metadataKey] = nil
        if !context.isEmpty {
            for (key, value) in context.sorted(by: { $0.key < $1.key }) {
                record.append(key, value, depth: 0)
            }
        }
        if let error = event.error {
            record.fields.append((key: "error", value: .text(String(describing: error))))
            record.fields.append((key: "errorType", value: .text("\(type(of: error))")))
        }
    }
}

extension LogRecord {
    /// Adds a metadata value; a dictionary becomes one field per entry, with dots in their keys.
    fileprivate mutating func append(_ key: String, _ value: Logger.MetadataValue, depth: Int) {
        guard fields.count <= RecordLimits.fieldLimit else { return }
        if case .dictionary(let entries) = value, depth < RecordLimits.listDepthLimit {
            for (subkey, value) in entries.sorted(by: { $0.key < $1.key }) {
                append("\(key).\(subkey)", value, depth: depth + 1)
            }
        } else {
            fields.append((key: key, value: LogValue(value, depth: depth)))
        }
    }
}

extension LogValue {
    fileprivate init(_ value: Logger.MetadataValue, depth: Int) {
        switch value {
        case .string(let text): self = .text(text)
        case .stringConvertible(let value): self = Self.typed(value)
        case .dictionary: self = .text(value.description)
        case .array(let values):
            self =
                depth < RecordLimits.listDepthLimit
                ? .list(values.map { LogValue($0, depth: depth + 1) }) : .text("[…]")
        }
    }

    /// Numbers and flags keep their types, whoever logged them.
    private static func typed(_ value: any CustomStringConvertible & Sendable) -> LogValue {
        switch value {
        case let carried as CarriedValue: carried.value
        case let flag as Bool: .flag(flag)
        case let integer as Int: .integer(Int64(integer))
        case let number as Double: .number(number)
        case let number as Float: .number(Double(number))
        case let integer as any BinaryInteger:
            Int64(exactly: integer).map { .integer($0) } ?? .text(value.description)
        default: .text(value.description)
        }
    }
}
