import Foundation
import Primitives
import Synchronization
import Testing

@testable import Telemetry

@Suite struct LogTailTests {
    private let folder: TemporaryFolder

    init() throws {
        folder = try TemporaryFolder()
    }

    private func line(_ number: Int, _ level: LogLevel = .info) -> String {
        jsonLine(stamped(number: number, level: level))
    }

    private func read(_ tail: LogTail) async throws -> (numbers: [Int], summary: LogTail.Summary) {
        var lines: [LogLine] = []
        let summary = try await tail.run(follows: false) { lines.append($0) }
        return (numbers(lines), summary)
    }

    private func rotate() throws {
        for number in [3, 2, 1, 0] {
            let from = folder.path + "/agent.jsonl" + (number == 0 ? "" : ".\(number)")
            guard FileManager.default.fileExists(atPath: from) else { continue }
            try FileManager.default.moveItem(
                atPath: from,
                toPath: folder.path + "/agent.jsonl.\(number + 1)"
            )
        }
    }

    @Test func `the last lines come in order, across rotated files`() async throws {
        try folder.append(line(1) + line(2) + line(3), to: "agent.jsonl.2")
        try folder.append(line(4) + line(5), to: "agent.jsonl.1")
        try folder.append(line(6))
        for count in 0...6 {
            let result = try await read(LogTail(directory: folder.path, lineCount: count))
            #expect(result.numbers == Array((1...6).suffix(count)))
        }
        #expect(try await read(LogTail(directory: folder.path)).numbers == [1, 2, 3, 4, 5, 6])
    }

    @Test func `lines below the level are not among those counted`() async throws {
        for number in 0..<1000 {
            try folder.append(line(number, number.isMultiple(of: 100) ? .error : .debug))
        }
        let tail = LogTail(directory: folder.path, minimumLevel: .warning, lineCount: 4)
        #expect(try await read(tail).numbers == [600, 700, 800, 900])
    }

    @Test func `lines that are no records are passed over and counted`() async throws {
        try folder.append(
            "garbage\n\n{}\n" + line(1) + String(line(2).dropLast(10)) + "\n" + line(3)
        )
        let result = try await read(LogTail(directory: folder.path))
        #expect(result.numbers == [1, 3])
        #expect(result.summary == LogTail.Summary(shownCount: 2, malformedCount: 3))
    }

    @Test func `a last line without a line feed counts if it is whole`() async throws {
        try folder.append(line(1) + String(line(2).dropLast()))
        #expect(try await read(LogTail(directory: folder.path)).numbers == [1, 2])
        try folder.append("x")
        let result = try await read(LogTail(directory: folder.path))
        #expect(result.numbers == [1])
        #expect(result.summary.malformedCount == 1)
    }

    @Test func `a line beyond the limit is passed over, whichever way it is read`() async throws {
        let overlong = String(repeating: "x", count: 3 * LineLimits.lineByteLimit)
        try folder.append(line(1) + overlong + "\n" + line(2))
        let result = try await read(LogTail(directory: folder.path))
        #expect(result.numbers == [1, 2])
        #expect(result.summary.malformedCount == 1)

        var follower = LogFollower(directory: folder.path)
        var lines: [[UInt8]] = []
        try follower.poll { lines.append($0) }
        #expect(lines.map { LogLine($0) == nil } == [false, true, false])
    }

    @Test func `lines over many blocks are put together`() async throws {
        let padding = String(repeating: "é", count: 1500)
        var text = ""
        for number in 0..<200 {
            text += jsonLine(
                stamped(LogRecord("x", .info, padding, ["number": .integer(Int64(number))]))
            )
        }
        try folder.append(text)
        let result = try await read(LogTail(directory: folder.path, lineCount: 1000))
        #expect(result.numbers == Array(0..<200))
        #expect(result.summary.malformedCount == 0)
    }

    @Test func `the raw line is kept as it stands`() async throws {
        try folder.append(line(1))
        var raw: [String] = []
        try await LogTail(directory: folder.path).run(follows: false) { raw.append($0.json) }
        #expect(raw == [String(line(1).dropLast())])
    }

    @Test func `a log that is not there is an error that names it`() async throws {
        await #expect(throws: LogTail.NoLog.self) {
            try await LogTail(directory: folder.path).run(follows: false) { _ in }
        }
    }

    // MARK: Following

    private func poll(_ follower: inout LogFollower) throws -> [Int] {
        var lines: [LogLine] = []
        try follower.poll { bytes in
            if let line = LogLine(bytes) { lines.append(line) }
        }
        return numbers(lines)
    }

    @Test func `a follower waits for a log, and for the end of a line`() throws {
        var follower = LogFollower(directory: folder.path)
        #expect(try poll(&follower).isEmpty)
        let text = line(1)
        try folder.append(String(text.prefix(20)))
        #expect(try poll(&follower).isEmpty)
        try folder.append(String(text.dropFirst(20)))
        #expect(try poll(&follower) == [1])
        #expect(try poll(&follower).isEmpty)
    }

    @Test func `a follower goes on across one rotation, and several`() throws {
        var follower = LogFollower(directory: folder.path)
        try folder.append(line(1))
        #expect(try poll(&follower) == [1])
        try folder.append(line(2))
        try rotate()
        // Between the renaming and the new file.
        #expect(try poll(&follower) == [2])
        try folder.append(line(3))
        #expect(try poll(&follower) == [3])
        try folder.append(line(4))
        for number in 5...7 {
            try rotate()
            try folder.append(line(number))
        }
        #expect(try poll(&follower) == [4, 5, 6, 7])
    }

    @Test func `a follower starts over after truncation and removal`() throws {
        var follower = LogFollower(directory: folder.path)
        try folder.append(line(0), to: "agent.jsonl.1")
        try folder.append(line(1) + line(2) + "half a line")
        #expect(try poll(&follower) == [1, 2])
        let handle = try #require(FileHandle(forWritingAtPath: folder.path + "/agent.jsonl"))
        try handle.truncate(atOffset: 0)
        try handle.close()
        try folder.append(line(3))
        #expect(try poll(&follower) == [3])
        try FileManager.default.removeItem(atPath: folder.path + "/agent.jsonl")
        #expect(try poll(&follower).isEmpty)
        try folder.append(line(4))
        #expect(try poll(&follower) == [4])
    }

    @Test func `following a rotating sink misses and repeats nothing`() throws {
        var configuration = LogFileConfiguration(directory: folder.path)
        configuration.fileByteLimit = 1000
        var sink = FileSink(configuration, agent: "a") { _ in }
        var follower = LogFollower(directory: folder.path)
        var generator = SeededGenerator(seed: 3)
        var written = 0
        var seen: [Int] = []
        for _ in 0..<300 {
            // At most four files' worth between two polls.
            let count = generator.below(20)
            let records = (written..<written + count).map { stamped(number: $0) }
            #expect(sink.write(records, at: .origin) == 0)
            written += count
            seen += try poll(&follower)
        }
        #expect(seen == Array(0..<written))
    }

    @Test func `the last lines are followed by what is added, until it is cancelled`() async throws
    {
        try folder.append(line(1) + line(2) + String(line(3).prefix(30)))
        var tail = LogTail(directory: folder.path, lineCount: 1)
        tail.pollInterval = .milliseconds(1)
        let (stream, continuation) = AsyncStream<Int>.makeStream()
        let following = Task { [tail] in
            try await tail.run(follows: true) { line in
                continuation.yield(numbers([line])[0])
            }
        }
        var iterator = stream.makeAsyncIterator()
        #expect(await iterator.next() == 2)
        try folder.append(String(line(3).dropFirst(30)))
        #expect(await iterator.next() == 3)
        try rotate()
        try folder.append(line(4))
        #expect(await iterator.next() == 4)
        following.cancel()
        #expect(try await following.value == LogTail.Summary(shownCount: 3, malformedCount: 0))
    }
}
