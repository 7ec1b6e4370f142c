package import Primitives

/// Reads an agent's JSON lines log: its last lines, and then what is added (`caravan logs -f`).
package struct LogTail: Sendable {
    package static let defaultLineCount = 100
    /// How many rotated files are looked for, however many an agent was told to keep.
    static let rotatedFileLimit = 64

    /// There is no log to read.
    package struct NoLog: Error, CustomStringConvertible {
        package let path: String
        package let reason: String

        package var description: String {
            "cannot read the log \(path): \(reason); has an agent run with this state folder?"
        }
    }

    /// What was shown, and how many lines were passed over because they are not records (cut
    /// short by a crash or a full disk, or not written by an agent).
    package struct Summary: Sendable, Equatable {
        package var shownCount = 0
        package var malformedCount = 0
    }

    /// The folder with `agent.jsonl` and its rotated files.
    package let directory: String
    package var minimumLevel: LogLevel
    /// How many lines of the given level or above are shown of what is there already.
    package var lineCount: Int
    package var pollInterval: Duration = .milliseconds(200)

    package init(
        directory: String,
        minimumLevel: LogLevel = .trace,
        lineCount: Int = LogTail.defaultLineCount
    ) {
        self.directory = directory
        self.minimumLevel = minimumLevel
        self.lineCount = max(0, lineCount)
    }

    /// Shows the last lines and returns, or with `follows` goes on until the task is cancelled.
    ///
    /// Cancellation is an ordinary end. Without `follows` a log that is not there is an error;
    /// with it, it is waited for.
    @discardableResult
    package func run(follows: Bool, onLine: (LogLine) throws -> Void) async throws -> Summary {
        var follower = LogFollower(directory: directory)
        var summary = Summary()
        do {
            try showLastLines(&follower, &summary, includingPartial: !follows, onLine)
        } catch let error as SystemError where !follows {
            let path = LogFileConfiguration.path(in: directory, number: 0)
            throw NoLog(path: path, reason: error.description)
        } catch is SystemError {
            // Not there yet: the follower waits for it.
        }
        while follows, !Task.isCancelled {
            try follower.poll { bytes in
                guard let line = selected(bytes, &summary) else { return }
                summary.shownCount += 1
                try onLine(line)
            }
            do {
                try await Task.sleep(for: pollInterval)
            } catch {
                break
            }
        }
        return summary
    }

    /// Shows what is there and leaves the follower where that ends.
    private func showLastLines(
        _ follower: inout LogFollower,
        _ summary: inout Summary,
        includingPartial: Bool,
        _ onLine: (LogLine) throws -> Void
    ) throws {
        var lines: [LogLine] = []
        var seen: Set<FileIdentity> = []
        for number in 0...Self.rotatedFileLimit {
            guard number == 0 || lines.count < lineCount else { break }
            let path = LogFileConfiguration.path(in: directory, number: number)
            let file: OpenFile
            do throws(SystemError) {
                file = try OpenFile.reading(path)
            } catch {
                if number == 0 { throw error }
                break
            }
            guard let facts = FileFacts(file) else { break }
            // A rotation while we look moves a file that we have read to the next number.
            guard seen.insert(facts.identity).inserted else { continue }
            var reader = BackwardLineReader(file, byteCount: facts.byteCount)
            let partial = try reader.next() ?? []
            if number == 0 {
                follower.begin(at: facts.byteCount - partial.count, of: file)
            }
            if includingPartial || number > 0, let line = selected(partial, &summary) {
                lines.append(line)
            }
            while lines.count < lineCount, let bytes = try reader.next() {
                if let line = selected(bytes, &summary) { lines.append(line) }
            }
        }
        for line in lines.prefix(lineCount).reversed() {
            summary.shownCount += 1
            try onLine(line)
        }
    }

    /// The line if it is to be shown.
    private func selected(_ bytes: [UInt8], _ summary: inout Summary) -> LogLine? {
        if bytes.isEmpty { return nil }
        guard let line = LogLine(bytes) else {
            summary.malformedCount += 1
            return nil
        }
        return line.stamped.record.level >= minimumLevel ? line : nil
    }
}
