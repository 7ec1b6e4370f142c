import HTTPTypes
package import Primitives

/// Which lines of a log are asked for.
package struct LogRequest: Equatable, Sendable {
    package static let lineLimit = 100_000
    package static let defaultLineCount = 100

    /// How many lines of the past.
    package var lineCount = LogRequest.defaultLineCount
    package var minimumLevel = LogLevel.info
    /// Whether what is logged from now on follows.
    package var follows = false

    init(_ query: RequestQuery) throws(APIError) {
        if let text = query["lines"] {
            guard let count = Int(text), (0...Self.lineLimit).contains(count) else {
                throw APIError(
                    .badRequest,
                    "bad_lines",
                    "lines is a number from 0 to \(Self.lineLimit), not \(text.prefix(32))."
                )
            }
            lineCount = count
        }
        if let text = query["level"] {
            guard let level = LogLevel(rawValue: text) else {
                let names = LogLevel.allCases.map(\.rawValue).joined(separator: ", ")
                throw APIError(
                    .badRequest,
                    "bad_level",
                    "level is one of \(names), not \(text.prefix(32))."
                )
            }
            minimumLevel = level
        }
        follows = query.isSet("follow")
    }
}
