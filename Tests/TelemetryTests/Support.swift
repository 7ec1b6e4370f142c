import Foundation
import Logging
import Primitives
import Synchronization
import Testing

@testable import Telemetry

/// A folder of its own for one test, removed at its end.
final class TemporaryFolder: Sendable {
    let path: String

    init() throws {
        path = NSTemporaryDirectory() + "caravan-telemetry-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func lines(of name: String = "agent.jsonl") throws -> [String] {
        let text = try String(contentsOfFile: "\(path)/\(name)", encoding: .utf8)
        return text.split(separator: "\n").map(String.init)
    }

    func append(_ text: String, to name: String = "agent.jsonl") throws {
        let path = "\(path)/\(name)"
        if !FileManager.default.fileExists(atPath: path) {
            _ = FileManager.default.createFile(atPath: path, contents: nil)
        }
        let handle = try #require(FileHandle(forWritingAtPath: path))
        try handle.seekToEnd()
        try handle.write(contentsOf: Data(text.utf8))
        try handle.close()
    }
}

/// The records that were reported, in order.
final class Reports: Sendable {
    private let records = Mutex<[LogRecord]>([])

    var all: [LogRecord] { records.withLock { $0 } }

    var ids: [String] { all.map(\.id) }

    func append(_ record: LogRecord) {
        records.withLock { $0.append(record) }
    }
}

/// Monday, 23 November 2026, 19:54:03.123456789 UTC.
let someTime = WallTime(nanoseconds: 1_795_463_643_123_456_789)

func stamped(_ record: LogRecord, at time: WallTime = someTime) -> StampedRecord {
    StampedRecord(time: time, record: record)
}

func stamped(number: Int, level: LogLevel = .info) -> StampedRecord {
    stamped(LogRecord("test.number", level, "line", ["number": .integer(Int64(number))]))
}

func jsonLine(_ record: StampedRecord, agent: String = "a") -> String {
    var line: [UInt8] = []
    JSONLineFormat(agent: agent).append(record, to: &line)
    return String(decoding: line, as: UTF8.self)
}

func readable(_ record: LogRecord) -> String {
    var line: [UInt8] = []
    TerminalFormat(colours: false, zone: .utc).append(stamped(record), to: &line)
    return String(decoding: line, as: UTF8.self)
}

/// The value of the field `number` of each line.
func numbers(_ lines: some Sequence<LogLine>) -> [Int] {
    lines.map { line in
        if case .integer(let number)? = line.stamped.record.fields.first?.value {
            Int(number)
        } else {
            -1
        }
    }
}
