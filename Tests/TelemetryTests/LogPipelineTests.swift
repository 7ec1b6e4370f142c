import Foundation
import Primitives
import Testing

@testable import Telemetry

@Suite struct LogPipelineTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    /// A pipe in the place of the terminal.
    private func terminal(_ pipe: Pipe) -> LogConfiguration.Terminal {
        .descriptor(
            pipe.fileHandleForWriting.fileDescriptor,
            TerminalFormat(colours: false, zone: .utc)
        )
    }

    private func text(_ pipe: Pipe) throws -> String {
        try pipe.fileHandleForWriting.close()
        return String(decoding: try pipe.fileHandleForReading.readToEnd() ?? Data(), as: UTF8.self)
    }

    @Test func `several pipelines of one process keep to themselves`() throws {
        let pipes = [Pipe(), Pipe()]
        let pipelines = try pipes.enumerated().map { number, pipe in
            var configuration = LogConfiguration(agentName: "agent-\(number)")
            configuration.terminal = terminal(pipe)
            configuration.file = LogFileConfiguration(directory: folder.path + "/\(number)")
            return try LogPipeline(configuration)
        }
        for (number, pipeline) in pipelines.enumerated() {
            pipeline.emit(LogRecord("x", .info, "hello from \(number)"))
            #expect(pipeline.close())
            #expect(pipeline.counters.file == SinkCounters(written: 1))
            #expect(pipeline.counters.terminal == SinkCounters(written: 1))
            #expect(pipeline.counters.journald == nil)
        }
        for (number, pipe) in pipes.enumerated() {
            #expect(try text(pipe).hasSuffix("INFO  hello from \(number)\n"))
            let lines = try folder.lines(of: "\(number)/agent.jsonl")
            #expect(lines.count == 1)
            #expect(LogLine([UInt8](lines[0].utf8))?.agent == "agent-\(number)")
        }
    }

    @Test func `a file that fails is said on the terminal, once`() throws {
        try folder.append("not a folder", to: "logs")
        let pipe = Pipe()
        var configuration = LogConfiguration(agentName: "a")
        configuration.terminal = terminal(pipe)
        configuration.file = LogFileConfiguration(directory: folder.path + "/logs")
        let pipeline = try LogPipeline(configuration)
        for _ in 0..<5 {
            pipeline.emit(LogRecord("x", .info, "hello"))
            #expect(pipeline.flush(within: .seconds(30)))
        }
        #expect(pipeline.close(within: .seconds(30)))
        #expect(pipeline.counters.file == SinkCounters(lost: 5))
        let lines = try text(pipe).split(separator: "\n")
        #expect(lines.count == 6)
        #expect(lines.filter { $0.contains("Cannot write the log file") }.count == 1)
    }

    @Test(.timeLimit(.minutes(1)))
    func `a terminal that nobody reads holds back no file`() async throws {
        let pipe = Pipe()
        var configuration = LogConfiguration(agentName: "a")
        configuration.terminal = terminal(pipe)
        configuration.file = LogFileConfiguration(directory: folder.path)
        let pipeline = try LogPipeline(configuration)
        // Twice what a pipe holds.
        let padding = String(repeating: "x", count: 1024)
        for _ in 0..<128 { pipeline.emit(LogRecord("x", .info, padding)) }
        while pipeline.counters.file != SinkCounters(written: 128) {
            try await Task.sleep(for: .milliseconds(5))
        }
        #expect(pipeline.counters.terminal != SinkCounters(written: 128))
        // A reader sets it free again.
        let reader = pipe.fileHandleForReading
        var byteCount = 0
        while byteCount < 128 * (1024 + 20) { byteCount += reader.availableData.count }
        #expect(pipeline.close(within: .seconds(30)))
        #expect(pipeline.counters.terminal == SinkCounters(written: 128))
    }

    @Test func `a terminal whose reader has gone loses lines and no more`() throws {
        let pipe = Pipe()
        try pipe.fileHandleForReading.close()
        var configuration = LogConfiguration(agentName: "a")
        configuration.terminal = terminal(pipe)
        let pipeline = try LogPipeline(configuration)
        pipeline.emit(LogRecord("x", .info, "hello"))
        #expect(pipeline.close(within: .seconds(30)))
        #expect(pipeline.counters.terminal == SinkCounters(lost: 1))
    }

    @Test func `a critical record is on disk when the call returns`() throws {
        var configuration = LogConfiguration(agentName: "a")
        configuration.terminal = .off
        configuration.file = LogFileConfiguration(directory: folder.path)
        configuration.criticalFlushLimit = .seconds(30)
        let pipeline = try LogPipeline(configuration)
        pipeline.emit(LogRecord("x", .info, "before"))
        #expect(pipeline.flush(within: .seconds(30)))
        pipeline.emit(LogRecord("x", .critical, "last words"))
        #expect(try folder.lines().count == 2)
        #expect(pipeline.close(within: .seconds(30)))
    }

    @Test(.enabled(if: JournaldSink.obstacle != nil, "a journald listens here"))
    func `without a journal the other sinks say so once and go on`() throws {
        let pipe = Pipe()
        var configuration = LogConfiguration(agentName: "a")
        configuration.terminal = terminal(pipe)
        configuration.usesJournald = true
        let pipeline = try LogPipeline(configuration)
        pipeline.emit(LogRecord("x", .info, "hello"))
        pipeline.emit(LogRecord("x", .info, "again"))
        #expect(pipeline.close(within: .seconds(30)))
        #expect(pipeline.counters.journald == nil)
        let lines = try text(pipe).split(separator: "\n")
        #expect(lines.count == 3)
        #expect(lines[0].contains("WARN  Cannot write to the journal  reason="))
    }
}
