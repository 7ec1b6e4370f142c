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
        var reading = LogReading(self, follows: follows)
        while let lines = try await reading.next() {
            for line in lines { try onLine(line) }
        }
        return reading.summary
    }
}
