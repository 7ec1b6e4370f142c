import Primitives

/// A log that is being read, some lines at a time, at the reader's pace.
package struct LogReading {
    private let tail: LogTail
    private let follows: Bool
    private var follower: LogFollower
    private var hasBegun = false
    package private(set) var summary = LogTail.Summary()

    package init(_ tail: LogTail, follows: Bool) {
        self.tail = tail
        self.follows = follows
        follower = LogFollower(directory: tail.directory)
    }

    /// The last lines, and with `follows` then what has been added since; nil at the end, which
    /// cancellation is, too.
    package mutating func next() async throws -> [LogLine]? {
        guard hasBegun else {
            hasBegun = true
            return try firstLines()
        }
        while follows, !Task.isCancelled {
            var selection = Selection(minimumLevel: tail.minimumLevel)
            try follower.poll { selection.take($0) }
            summary.malformedCount += selection.malformedCount
            let lines = selection.lines
            if !lines.isEmpty {
                summary.shownCount += lines.count
                return lines
            }
            do {
                try await Task.sleep(for: tail.pollInterval)
            } catch {
                break
            }
        }
        return nil
    }

    private mutating func firstLines() throws -> [LogLine] {
        do {
            return try lastLines(includingPartial: !follows)
        } catch let error as SystemError {
            // With `follows`, the follower waits for it.
            guard !follows else { return [] }
            let path = LogFileConfiguration.path(in: tail.directory, number: 0)
            throw LogTail.NoLog(path: path, reason: error.description)
        }
    }

    /// What is there; leaves the follower where that ends.
    private mutating func lastLines(includingPartial: Bool) throws -> [LogLine] {
        var selection = Selection(minimumLevel: tail.minimumLevel)
        var seen: Set<FileIdentity> = []
        for number in 0...LogTail.rotatedFileLimit {
            guard number == 0 || selection.lines.count < tail.lineCount else { break }
            let path = LogFileConfiguration.path(in: tail.directory, number: number)
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
            if includingPartial || number > 0 { selection.take(partial) }
            while selection.lines.count < tail.lineCount, let bytes = try reader.next() {
                selection.take(bytes)
            }
        }
        let lines = Array(selection.lines.prefix(tail.lineCount).reversed())
        summary.malformedCount += selection.malformedCount
        summary.shownCount += lines.count
        return lines
    }

    /// The lines that are to be shown.
    private struct Selection {
        let minimumLevel: LogLevel
        var lines: [LogLine] = []
        var malformedCount = 0

        mutating func take(_ bytes: [UInt8]) {
            if bytes.isEmpty { return }
            guard let line = LogLine(bytes) else {
                malformedCount += 1
                return
            }
            if line.stamped.record.level >= minimumLevel { lines.append(line) }
        }
    }
}
