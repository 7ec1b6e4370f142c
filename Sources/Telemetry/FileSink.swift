import Primitives

/// Where the JSON lines go and how much of the disk they may take.
package struct LogFileConfiguration: Sendable {
    package static let fileName = "agent.jsonl"

    package var directory: String
    /// The size at which a file is put aside.
    package var fileByteLimit = 8 << 20
    /// How many files are kept besides the current one.
    package var rotatedFileLimit = 4
    /// After a failure, how long to wait before trying again.
    package var retryInterval: Duration = .seconds(5)

    package init(directory: String) {
        self.directory = directory
    }

    /// The current file for 0, older ones for higher numbers: `agent.jsonl.1` and so on.
    static func path(in directory: String, number: Int) -> String {
        number == 0 ? "\(directory)/\(fileName)" : "\(directory)/\(fileName).\(number)"
    }
}

/// Appends JSON lines to a file and rotates it.
///
/// A disk that is full, a folder that is gone or not ours: the lines are counted as lost, the
/// failure is reported once, and a later write tries again and says how many lines are missing.
/// A file that somebody else moved or removed is noticed and made anew.
struct FileSink: LogSink {
    private static let bufferByteLimit = 64 * 1024

    private let configuration: LogFileConfiguration
    private let format: JSONLineFormat
    private let report: @Sendable (LogRecord) -> Void

    private var file: OpenFile?
    private var fileByteCount = 0
    private var buffer: [UInt8] = []
    /// Line feeds at the front of the buffer that don't end a record of the caller's.
    private var extraLineFeeds = 0
    private var failure: Failure?

    private struct Failure {
        var latest: Instant
        var lostCount: Int
    }

    init(
        _ configuration: LogFileConfiguration,
        agent: String,
        report: @escaping @Sendable (LogRecord) -> Void
    ) {
        precondition(configuration.rotatedFileLimit >= 1, "rotation needs a file to rotate to")
        self.configuration = configuration
        self.format = JSONLineFormat(agent: agent)
        self.report = report
    }

    mutating func write(_ records: [StampedRecord], at now: Instant) -> Int {
        if let failure, now - failure.latest < configuration.retryInterval {
            self.failure?.lostCount += records.count
            return records.count
        }
        var writtenCount = 0
        do throws(SystemError) {
            try append(records, writtenCount: &writtenCount)
            noteSuccess()
        } catch {
            noteFailure(error, lostCount: records.count - writtenCount, at: now)
        }
        return records.count - writtenCount
    }

    mutating func close() {
        file = nil
    }

    private mutating func append(
        _ records: [StampedRecord],
        writtenCount: inout Int
    ) throws(SystemError) {
        buffer.removeAll(keepingCapacity: true)
        extraLineFeeds = 0
        try openIfNeeded()
        if let failure, let first = records.first {
            format.append(
                StampedRecord(time: first.time, record: recovery(failure)),
                to: &buffer
            )
            extraLineFeeds += 1
        }
        for record in records {
            let start = buffer.count
            format.append(record, to: &buffer)
            if fileByteCount + buffer.count > configuration.fileByteLimit,
                fileByteCount + start > 0
            {
                let line = [UInt8](buffer[start...])
                buffer.removeSubrange(start...)
                try writeBuffer(writtenCount: &writtenCount)
                try rotate()
                buffer.append(contentsOf: line)
            }
            if buffer.count >= Self.bufferByteLimit {
                try writeBuffer(writtenCount: &writtenCount)
            }
        }
        try writeBuffer(writtenCount: &writtenCount)
    }

    private mutating func writeBuffer(writtenCount: inout Int) throws(SystemError) {
        guard let file else { throw SystemError(number: 0) }
        let result = FileSystem.write(buffer[...], to: file.descriptor, patienceMilliseconds: 0)
        fileByteCount += result.written
        let lineFeeds = buffer[..<result.written].reduce(0) { $0 + ($1 == 0x0A ? 1 : 0) }
        writtenCount += max(0, lineFeeds - extraLineFeeds)
        extraLineFeeds = max(0, extraLineFeeds - lineFeeds)
        buffer.removeAll(keepingCapacity: true)
        if let failure = result.failure { throw failure }
    }
}

// MARK: The file

extension FileSink {
    private func path(_ number: Int) -> String {
        LogFileConfiguration.path(in: configuration.directory, number: number)
    }

    /// Opens the file unless it is open and still the one at its path.
    private mutating func openIfNeeded() throws(SystemError) {
        if let file, let ours = FileFacts(file), let current = FileFacts(path: path(0)),
            ours.identity == current.identity
        {
            fileByteCount = current.byteCount
            return
        }
        try open()
    }

    private mutating func open() throws(SystemError) {
        file = nil
        try FileSystem.makeDirectory(configuration.directory)
        let opened = try OpenFile.appending(to: path(0))
        fileByteCount = FileFacts(opened)?.byteCount ?? 0
        file = opened
        // A crash or a full disk may have left half a line: it must not swallow the next one.
        if fileByteCount > 0,
            try OpenFile.reading(path(0)).read(1, at: fileByteCount - 1) != [0x0A]
        {
            buffer.append(0x0A)
            extraLineFeeds += 1
        }
    }

    private mutating func rotate() throws(SystemError) {
        file = nil
        for number in (0..<configuration.rotatedFileLimit).reversed()
        where FileFacts(path: path(number)) != nil {
            try FileSystem.rename(path(number), to: path(number + 1))
        }
        try open()
    }
}

// MARK: Failures

extension FileSink {
    private mutating func noteFailure(_ error: SystemError, lostCount: Int, at now: Instant) {
        // Opening it again finds out what the failed write left behind.
        file = nil
        if failure == nil {
            report(
                LogRecord(
                    "log.file.failed",
                    .error,
                    "Cannot write the log file; trying again every few seconds",
                    ["path": .text(path(0)), "reason": .text(error.description)]
                )
            )
        }
        failure = Failure(latest: now, lostCount: (failure?.lostCount ?? 0) + lostCount)
    }

    private mutating func noteSuccess() {
        guard let failure else { return }
        report(recovery(failure))
        self.failure = nil
    }

    private func recovery(_ failure: Failure) -> LogRecord {
        LogRecord(
            "log.file.recovered",
            .notice,
            "The log file can be written again",
            ["path": .text(path(0)), "lost": .integer(Int64(failure.lostCount))]
        )
    }
}
