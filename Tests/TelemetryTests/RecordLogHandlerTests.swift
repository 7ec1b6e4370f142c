import Logging
import Primitives
import Testing

@testable import Telemetry

@Suite struct RecordLogHandlerTests {
    private struct SomeError: Error, CustomStringConvertible {
        let description = "it broke"
    }

    /// A pipeline with a file sink in the folder and nothing else.
    private func pipeline(
        _ folder: TemporaryFolder,
        level: LogLevel = .info,
        libraryLevel: LogLevel = .trace
    ) throws -> LogPipeline {
        var configuration = LogConfiguration(agentName: "a")
        configuration.level = level
        configuration.libraryLevel = libraryLevel
        configuration.terminal = .off
        configuration.file = LogFileConfiguration(directory: folder.path)
        return try LogPipeline(configuration)
    }

    private func records(_ folder: TemporaryFolder) throws -> [LogRecord] {
        try folder.lines().map { try #require(LogLine([UInt8]($0.utf8))).stamped.record }
    }

    @Test func `a record comes through swift-log as it was`() throws {
        let folder = try TemporaryFolder()
        let pipeline = try pipeline(folder)
        let record = LogRecord(
            "placement.phase.ready",
            .notice,
            "Ready",
            ["z": 1, "a": .number(2.5), "m": .list([.flag(true), "x"]), "b": "text"]
        )
        pipeline.emit(record)
        pipeline.logger.log(record: LogRecord("x", .debug, "below the level"))
        #expect(pipeline.close())
        #expect(try records(folder) == [record])
    }

    @Test func `a library's event is named by its label and keeps its types`() throws {
        let folder = try TemporaryFolder()
        let pipeline = try pipeline(folder)
        var logger = pipeline.libraryLogger(label: "Hummingbird")
        logger[metadataKey: "request"] = .stringConvertible(UInt8(7))
        logger[metadataKey: "both"] = "logger"
        logger.warning(
            "hello",
            error: SomeError(),
            metadata: [
                "both": "event", "port": .stringConvertible(8080),
                "load": .stringConvertible(0.5), "tls": .stringConvertible(false),
                "huge": .stringConvertible(UInt64.max), "list": ["a", .stringConvertible(2)],
                "peer": ["host": "h", "deep": ["x": .stringConvertible(1)]],
            ]
        )
        #expect(pipeline.close())
        let expected = LogRecord(
            "log.Hummingbird",
            .warning,
            "hello",
            [
                "both": "event", "huge": .text("18446744073709551615"),
                "list": .list(["a", 2]), "load": .number(0.5), "peer.deep.x": 1,
                "peer.host": "h", "port": 8080, "request": 7, "tls": .flag(false),
                "error": "it broke", "errorType": "SomeError",
            ]
        )
        #expect(try records(folder) == [expected])
    }

    @Test func `a logger's own typed metadata follows a record's fields`() throws {
        let folder = try TemporaryFolder()
        let pipeline = try pipeline(folder)
        var logger = pipeline.logger
        logger[metadataKey: "node"] = LogValue.integer(4).metadataValue
        logger.log(record: LogRecord("x", .info, "m", ["a": 1]))
        #expect(pipeline.close())
        #expect(try records(folder) == [LogRecord("x", .info, "m", ["a": 1, "node": 4])])
    }

    @Test func `level and metadata are values of each logger`() throws {
        let pipeline = try pipeline(TemporaryFolder())
        var first = pipeline.libraryLogger(label: "first")
        first.logLevel = .debug
        first[metadataKey: "key"] = "first"
        var second = first
        second.logLevel = .error
        second[metadataKey: "key"] = "second"
        #expect(first.logLevel == .debug)
        #expect(first[metadataKey: "key"] == "first")
        #expect(second.logLevel == .error)
        #expect(pipeline.close())
    }

    @Test func `libraries have a level of their own`() throws {
        let folder = try TemporaryFolder()
        let pipeline = try pipeline(folder, level: .debug, libraryLevel: .error)
        pipeline.libraryLogger(label: "NIO").warning("quiet")
        pipeline.libraryLogger(label: "NIO").error("loud")
        pipeline.emit(LogRecord("x", .debug, "m"))
        #expect(pipeline.close())
        #expect(try records(folder).map(\.id) == ["log.NIO", "x"])
    }

    @Test func `a foreign handler prints a record's id and fields`() {
        let carried = CarriedRecord(LogRecord("x.y", .info, "m", ["a": 1, "b": "c d"]))
        #expect(carried.description == #"x.y a=1 b="c d""#)
    }

    @Test func `a record beyond the limits is cut, and says so`() throws {
        let long = String(repeating: "é", count: 40_000)
        var record = LogRecord("x", .info, long, ["first": 1])
        record.fields.append((key: "long", value: .text(long)))
        record.fields += (0..<100).map { (key: "key\($0)", value: .integer(Int64($0))) }
        record.fields.append((key: "first", value: 2))
        #expect(!record.isWithinLimits(weight: record.weight))
        let clipped = record.clipped
        #expect(clipped.message.utf8.count <= RecordLimits.messageByteLimit + 3)
        #expect(clipped.message.hasSuffix("é…"))
        #expect(clipped.fields.count == RecordLimits.fieldLimit)
        #expect(clipped.fields.first?.value == 1)
        #expect(clipped.fields.last?.key == "fieldsOmitted")
        #expect(clipped.fields.last?.value == 40)
        #expect(clipped.weight <= RecordLimits.recordByteLimit + 100)
    }
}
