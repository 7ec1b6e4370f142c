package import Logging
package import Primitives

extension Logger {
    /// Logs a record through swift-log, with its id, its fields' order and their types.
    package func log(
        record: LogRecord,
        source: String? = nil,
        file: String = #fileID,
        function: String = #function,
        line: UInt = #line
    ) {
        log(
            level: Logger.Level(record.level),
            Logger.Message(stringLiteral: record.message),
            metadata: [CarriedRecord.metadataKey: .stringConvertible(CarriedRecord(record))],
            source: source,
            file: file,
            function: function,
            line: line
        )
    }
}

/// A whole record as one metadata value.
///
/// swift-log's metadata is a dictionary of text-like values: fields one by one would lose their
/// order and their types. A foreign handler, which does not know this type, prints a description.
struct CarriedRecord: Sendable, CustomStringConvertible {
    static let metadataKey = "caravan.record"

    let record: LogRecord

    init(_ record: LogRecord) {
        self.record = record
    }

    var description: String {
        var text: [UInt8] = []
        text.append(printable: record.id)
        for field in record.fields {
            text.append(UInt8(ascii: " "))
            text.append(printable: field.key)
            text.append(UInt8(ascii: "="))
            text.append(readable: field.value)
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// One typed value in a logger's own metadata.
struct CarriedValue: Sendable, CustomStringConvertible {
    let value: LogValue

    var description: String {
        if case .text(let text) = value { return text }
        var text: [UInt8] = []
        text.append(readable: value)
        return String(decoding: text, as: UTF8.self)
    }
}

extension LogValue {
    /// The value for a logger's metadata, such that our handlers get its type back.
    package var metadataValue: Logger.MetadataValue {
        .stringConvertible(CarriedValue(value: self))
    }
}

extension Logger.Level {
    package init(_ level: LogLevel) {
        self =
            switch level {
            case .trace: .trace
            case .debug: .debug
            case .info: .info
            case .notice: .notice
            case .warning: .warning
            case .error: .error
            case .critical: .critical
            }
    }
}

extension LogLevel {
    package init(_ level: Logger.Level) {
        self =
            switch level {
            case .trace: .trace
            case .debug: .debug
            case .info: .info
            case .notice: .notice
            case .warning: .warning
            case .error: .error
            case .critical: .critical
            }
    }
}
