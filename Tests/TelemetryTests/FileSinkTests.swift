import Foundation
import Primitives
import Testing

@testable import Telemetry

@Suite struct FileSinkTests {
    private let folder: TemporaryFolder
    private let reports = Reports()
    private let start = Instant(nanoseconds: 5)

    init() throws {
        folder = try TemporaryFolder()
    }

    private func sink(fileByteLimit: Int = 1 << 20, rotatedFileLimit: Int = 4) -> FileSink {
        var configuration = LogFileConfiguration(directory: folder.path + "/logs")
        configuration.fileByteLimit = fileByteLimit
        configuration.rotatedFileLimit = rotatedFileLimit
        return FileSink(configuration, agent: "a") { [reports] in reports.append($0) }
    }

    private func numbers(in name: String) throws -> [Int] {
        try TelemetryTests.numbers(
            folder.lines(of: "logs/\(name)").map { try #require(LogLine([UInt8]($0.utf8))) }
        )
    }

    private func mode(_ name: String) throws -> Int {
        let attributes = try FileManager.default.attributesOfItem(atPath: "\(folder.path)/\(name)")
        return try #require(attributes[.posixPermissions] as? Int)
    }

    @Test func `files and folders are private`() throws {
        var sink = sink()
        #expect(sink.write([stamped(number: 1)], at: start) == 0)
        #expect(try mode("logs") == 0o700)
        #expect(try mode("logs/agent.jsonl") == 0o600)
    }

    @Test func `a full file is rotated, and only so many are kept`() throws {
        let lineByteCount = jsonLine(stamped(number: 10)).utf8.count
        var sink = sink(fileByteLimit: 3 * lineByteCount, rotatedFileLimit: 2)
        // In batches of different sizes, so that a rotation falls within some.
        #expect(sink.write((10..<11).map { stamped(number: $0) }, at: start) == 0)
        #expect(sink.write((11..<18).map { stamped(number: $0) }, at: start) == 0)
        #expect(sink.write((18..<24).map { stamped(number: $0) }, at: start) == 0)
        #expect(try numbers(in: "agent.jsonl") == [22, 23])
        #expect(try numbers(in: "agent.jsonl.1") == [19, 20, 21])
        #expect(try numbers(in: "agent.jsonl.2") == [16, 17, 18])
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path + "/logs")
        #expect(names.count == 3)
        #expect(reports.all.isEmpty)
    }

    @Test func `a line longer than a file gets a file to itself`() throws {
        var sink = sink(fileByteLimit: 10)
        #expect(sink.write([stamped(number: 1), stamped(number: 2)], at: start) == 0)
        #expect(try numbers(in: "agent.jsonl") == [2])
        #expect(try numbers(in: "agent.jsonl.1") == [1])
    }

    @Test func `a restarted agent goes on in the same file`() throws {
        var first = sink()
        #expect(first.write([stamped(number: 1)], at: start) == 0)
        first.close()
        var second = sink()
        #expect(second.write([stamped(number: 2)], at: start) == 0)
        #expect(try numbers(in: "agent.jsonl") == [1, 2])
    }

    @Test func `a line that a crash cut short swallows no other`() throws {
        try FileManager.default.createDirectory(
            atPath: folder.path + "/logs",
            withIntermediateDirectories: true
        )
        try folder.append(#"{"time":"2026-11"#, to: "logs/agent.jsonl")
        var sink = sink()
        #expect(sink.write([stamped(number: 1)], at: start) == 0)
        let lines = try folder.lines(of: "logs/agent.jsonl")
        #expect(lines.count == 2)
        #expect(LogLine([UInt8](try #require(lines.last).utf8)) != nil)
    }

    @Test func `a file that was moved or removed is made anew`() throws {
        var sink = sink()
        #expect(sink.write([stamped(number: 1)], at: start) == 0)
        let path = folder.path + "/logs"
        try FileManager.default.moveItem(atPath: path + "/agent.jsonl", toPath: path + "/mine")
        #expect(sink.write([stamped(number: 2)], at: start) == 0)
        #expect(try numbers(in: "mine") == [1])
        #expect(try numbers(in: "agent.jsonl") == [2])
        try FileManager.default.removeItem(atPath: path)
        #expect(sink.write([stamped(number: 3)], at: start) == 0)
        #expect(try numbers(in: "agent.jsonl") == [3])
        #expect(reports.all.isEmpty)
    }

    @Test func `a full disk loses and counts lines, is said once and tried again later`() throws {
        let path = folder.path + "/logs"
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try FileManager.default.createSymbolicLink(
            atPath: path + "/agent.jsonl",
            withDestinationPath: "/dev/full"
        )
        var sink = sink()
        #expect(sink.write([stamped(number: 1), stamped(number: 2)], at: start) == 2)
        #expect(reports.ids == ["log.file.failed"])
        #expect(
            reports.all.first?.fields.last?.value == .text("No space left on device")
        )
        // Not tried again so soon.
        #expect(sink.write([stamped(number: 3)], at: start + .seconds(1)) == 1)
        // Tried again, in vain.
        #expect(sink.write([stamped(number: 4)], at: start + .seconds(6)) == 1)
        #expect(reports.ids == ["log.file.failed"])

        try FileManager.default.removeItem(atPath: path + "/agent.jsonl")
        #expect(sink.write([stamped(number: 5)], at: start + .seconds(7)) == 1)
        #expect(sink.write([stamped(number: 6)], at: start + .seconds(12)) == 0)
        #expect(reports.ids == ["log.file.failed", "log.file.recovered"])
        let records = try folder.lines(of: "logs/agent.jsonl").compactMap {
            LogLine([UInt8]($0.utf8))?.stamped.record
        }
        #expect(records.map(\.id) == ["log.file.recovered", "test.number"])
        #expect(records.first?.fields.last?.value == 5)
        // All is as before.
        #expect(sink.write([stamped(number: 7)], at: start + .seconds(12)) == 0)
        #expect(reports.all.count == 2)
    }

    @Test func `a folder that cannot be made is a failure like a full disk`() throws {
        try folder.append("not a folder", to: "logs")
        var sink = sink()
        #expect(sink.write([stamped(number: 1)], at: start) == 1)
        #expect(reports.ids == ["log.file.failed"])
        try FileManager.default.removeItem(atPath: folder.path + "/logs")
        #expect(sink.write([stamped(number: 2)], at: start + .seconds(6)) == 0)
        #expect(try folder.lines(of: "logs/agent.jsonl").count == 2)
    }
}
