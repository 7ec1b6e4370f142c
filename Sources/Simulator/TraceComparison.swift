/// Two traces, up to the first line in which they differ.
package struct TraceComparison: Sendable {
    /// A line that is none of a trace.
    package struct Unreadable: Error, Sendable {
        package var isFirst: Bool
        package var lineNumber: Int
        package var reason: String
    }

    package struct Difference: Sendable {
        /// Counted from 1.
        package var lineNumber: Int
        /// Nil where one trace has ended.
        package var first: String?
        package var second: String?
        /// The lines before, which both have.
        package var context: [String]
    }

    private static let contextCount = 5

    /// Reads line by line, so that the traces may be larger than memory.
    ///
    /// - Returns: nil if they are equal.
    package static func firstDifference(
        _ nextOfFirst: () -> [UInt8]?,
        _ nextOfSecond: () -> [UInt8]?
    ) throws(Unreadable) -> Difference? {
        var context: [[UInt8]] = []
        var number = 0
        while true {
            number += 1
            let first = nextOfFirst()
            let second = nextOfSecond()
            if let first { try check(first, isFirst: true, number) }
            if let second { try check(second, isFirst: false, number) }
            guard first == second else {
                return Difference(
                    lineNumber: number,
                    first: first.map(text),
                    second: second.map(text),
                    context: context.map(text)
                )
            }
            guard let first else { return nil }
            context.append(first)
            if context.count > contextCount { context.removeFirst() }
        }
    }

    /// What led to an event, from the latest to the earliest: each line that has the number of
    /// one of its causes.
    ///
    /// - Parameter next: the trace from its beginning.
    package static func chain(of line: String, in next: () -> [UInt8]?) -> [String] {
        // Causes come before their effects, so one reading that remembers who caused whom is
        // enough to know the numbers, and the lines with them.
        guard var cause = number("cause", in: Array(line.utf8)), cause > 0 else { return [] }
        var causes: [UInt64: UInt64] = [:]
        var lines: [UInt64: [UInt8]] = [:]
        while let bytes = next() {
            guard let index = number("i", in: bytes), index <= cause else { break }
            guard causes[index] == nil else { continue }
            causes[index] = number("cause", in: bytes)
            lines[index] = bytes
        }
        var chain: [String] = []
        while cause > 0, let bytes = lines[cause], chain.count < chainLimit {
            chain.append(text(bytes))
            guard let before = causes[cause], before < cause else { break }
            cause = before
        }
        return chain
    }

    private static let chainLimit = 20

    private static func text(_ bytes: [UInt8]) -> String { String(decoding: bytes, as: UTF8.self) }

    private static func check(
        _ line: [UInt8],
        isFirst: Bool,
        _ number: Int
    ) throws(Unreadable) {
        guard line.starts(with: Array("{\"i\":".utf8)), line.last == UInt8(ascii: "}") else {
            let shown = text(Array(line.prefix(60)))
            throw Unreadable(
                isFirst: isFirst,
                lineNumber: number,
                reason: "expected a line of a trace, {\"i\":…}, found \(shown.debugDescription)"
            )
        }
    }

    /// The number behind a key; lines are written by `TraceWriter` alone, which has no spaces.
    private static func number(_ key: String, in line: [UInt8]) -> UInt64? {
        let pattern = Array("\"\(key)\":".utf8)
        guard line.count > pattern.count else { return nil }
        var start = 0
        while start + pattern.count < line.count {
            if line[start] == pattern[0], line[start...].starts(with: pattern) {
                let digits = line[(start + pattern.count)...].prefix { 0x30...0x39 ~= $0 }
                return UInt64(String(decoding: digits, as: UTF8.self))
            }
            start += 1
        }
        return nil
    }
}
