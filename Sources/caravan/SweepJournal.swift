import FoundationEssentials
import Primitives
import Processes
import Synchronization
import SystemPackage

/// What a sweep has done, kept in a file so that a sweep of hours can be stopped and continued.
///
/// A line of JSON for each block: some seeds of one scenario, and what their runs came to. A line
/// that was cut off while it was written is made again. Whoever continues makes the first run of
/// each scenario once more: what was kept counts only if this build does the same. That it judges
/// the same is not looked at: whoever changes a property begins anew.
final class SweepJournal: Sendable {
    struct Entry: Codable, Sendable {
        let path: String
        /// Of the scenario's text: what is promised in it changes no run.
        let scenario: String
        let first: UInt64
        let last: UInt64
        /// Of the run with the first seed.
        let hash: String
        let summary: SweepSummary
        /// Which of the calls that continued one another, from 1 on, and how long it had taken.
        let call: Int
        let seconds: Double
        let options: String
    }

    /// So many seeds of a scenario are done together: at most these are lost.
    static let blockSize: UInt64 = 25

    let path: String
    /// What was done before.
    let entries: [Entry]
    /// The number of this call.
    let call: Int
    /// Where whole lines end, too.
    private let file: Mutex<(descriptor: FileDescriptor, byteCount: Int64)>
    private let lock: FileLock

    /// Reads what is there, and goes on writing behind it.
    init(_ path: String) throws {
        self.path = path
        let free: FileLock?
        do throws(FileLockError) {
            free = try FileLock(path: path)
        } catch {
            throw ScenarioFile.refused("\(path): cannot be written: \(error.reason)")
        }
        guard let free else {
            throw ScenarioFile.refused(
                "\(path): another sweep is at it; wait for its end, or name another file"
            )
        }
        lock = free
        let (entries, byteCount) = try Self.read(path)
        self.entries = entries
        call = (entries.map(\.call).max() ?? 0) + 1
        do {
            let file = try FileDescriptor.open(
                FilePath(path),
                .readWrite,
                options: .create,
                permissions: [.ownerReadWrite, .groupRead, .otherRead]
            )
            try file.resize(to: Int64(byteCount))
            self.file = Mutex((file, Int64(byteCount)))
        } catch {
            throw ScenarioFile.refused("\(path): cannot be written: \(error)")
        }
    }

    /// How long the calls before this one took.
    var secondsBefore: Double {
        Dictionary(grouping: entries, by: \.call).values
            .reduce(0) { $0 + ($1.map(\.seconds).max() ?? 0) }
    }

    func add(_ entry: Entry) {
        file.withLock { file in
            do {
                let line = try JSONEncoder().encode(entry) + [0x0A]
                // A line that a full disk cut off is written over by the next one.
                try file.descriptor.writeAll(toAbsoluteOffset: file.byteCount, line)
                file.byteCount += Int64(line.count)
            } catch {
                Output.writeError("\(path): cannot be written: \(error)")
                try? file.descriptor.resize(to: file.byteCount)
            }
        }
    }

    /// The entries, and how many bytes they take.
    private static func read(_ path: String) throws -> ([Entry], Int) {
        guard let data = FileManager.default.contents(atPath: path) else { return ([], 0) }
        var entries: [Entry] = []
        var start = data.startIndex
        while let end = data[start...].firstIndex(of: 0x0A) {
            do {
                entries.append(try JSONDecoder().decode(Entry.self, from: data[start..<end]))
            } catch {
                throw ScenarioFile.refused(
                    "\(path):\(entries.count + 1): this is no line of a sweep that was stopped; "
                        + "name another file to begin anew"
                )
            }
            start = data.index(after: end)
        }
        return (entries, start - data.startIndex)
    }
}
