/// How much an event matters; the names are swift-log's.
package enum LogLevel: String, Sendable, CaseIterable, Comparable {
    case trace, debug, info, notice, warning, error, critical

    package static func < (left: Self, right: Self) -> Bool {
        left.rank < right.rank
    }

    private var rank: Int {
        switch self {
        case .trace: 0
        case .debug: 1
        case .info: 2
        case .notice: 3
        case .warning: 4
        case .error: 5
        case .critical: 6
        }
    }
}

/// One typed field of a log record; its type is kept in JSON and journald output.
package enum LogValue: Sendable, Equatable {
    case text(String)
    case integer(Int64)
    case number(Double)
    case flag(Bool)
    case list([LogValue])
}

extension LogValue: ExpressibleByStringLiteral, ExpressibleByStringInterpolation {
    package init(stringLiteral value: String) {
        self = .text(value)
    }
}

extension LogValue: ExpressibleByIntegerLiteral {
    package init(integerLiteral value: Int64) {
        self = .integer(value)
    }
}

/// Something that happened in an agent, as people and programs read it.
///
/// `id` is stable across versions and is what programs match on (`placement.phase.ready`);
/// `message` is for people and carries the reference document's wording where it has one.
package struct LogRecord: Sendable, Equatable {
    package var id: String
    package var level: LogLevel
    package var message: String
    /// In the order in which they are printed; keys are lower camel case.
    package var fields: [(key: String, value: LogValue)]

    package init(
        _ id: String,
        _ level: LogLevel,
        _ message: String,
        _ fields: KeyValuePairs<String, LogValue> = [:]
    ) {
        self.id = id
        self.level = level
        self.message = message
        self.fields = fields.map { (key: $0.key, value: $0.value) }
    }

    package static func == (left: Self, right: Self) -> Bool {
        left.id == right.id && left.level == right.level && left.message == right.message
            && left.fields.elementsEqual(right.fields) { $0.key == $1.key && $0.value == $1.value }
    }
}
