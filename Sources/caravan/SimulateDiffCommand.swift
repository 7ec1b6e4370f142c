import ArgumentParser
import Simulator
import SystemPackage

struct SimulateDiffCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Show where two traces first differ, and what led there.",
        discussion: """
            Traces of two versions, or of two seeds:
              caravan simulate run a.sim.json --seed 7 --trace before.jsonl
              caravan simulate run a.sim.json --seed 7 --trace after.jsonl    with another build
              caravan simulate diff before.jsonl after.jsonl

            Exit codes: 0 equal, 1 different, 2 a file is no trace.
            """
    )

    @Argument(help: ArgumentHelp("A trace.", valueName: "first"))
    var first: String

    @Argument(help: ArgumentHelp("Another one.", valueName: "second"))
    var second: String

    func run() async throws {
        let firstLines = try LineReader(first)
        let secondLines = try LineReader(second)
        let difference: TraceComparison.Difference?
        do throws(TraceComparison.Unreadable) {
            difference = try TraceComparison.firstDifference(firstLines.next, secondLines.next)
        } catch {
            let path = error.isFirst ? first : second
            throw ScenarioFile.refused("\(path):\(error.lineNumber): \(error.reason)")
        }
        guard let difference else {
            Output.write("equal: \(firstLines.lineCount - 1) lines\n")
            return
        }
        Output.write("line \(difference.lineNumber) is the first that differs\n")
        for line in difference.context { Output.write("    \(line)\n") }
        Output.write("<   \(difference.first ?? "\(first) has ended")\n")
        Output.write(">   \(difference.second ?? "\(second) has ended")\n")
        try tellCauses(of: difference.first, in: first, mark: "<")
        try tellCauses(of: difference.second, in: second, mark: ">")
        throw ExitCode(1)
    }

    private func tellCauses(of line: String?, in path: String, mark: String) throws {
        guard let line else { return }
        let chain = TraceComparison.chain(of: line, in: try LineReader(path).next)
        guard !chain.isEmpty else { return }
        Output.write("what led to \(mark), the latest first:\n")
        for line in chain { Output.write("    \(line)\n") }
    }
}

/// Reads a file line by line.
final class LineReader {
    private let file: FileDescriptor
    private var buffer: [UInt8] = []
    private var offset = 0
    private var isAtEnd = false
    /// How often `next` was called.
    private(set) var lineCount = 0
    private static let readByteCount = 1 << 16

    init(_ path: String) throws {
        do {
            file = try FileDescriptor.open(FilePath(path), .readOnly)
        } catch {
            throw ScenarioFile.refused("\(path): cannot be read: \(error)")
        }
    }

    deinit {
        try? file.close()
    }

    /// The next line without its end; nil at the end of the file.
    func next() -> [UInt8]? {
        lineCount += 1
        while true {
            if let end = buffer[offset...].firstIndex(of: 0x0A) {
                defer { offset = end + 1 }
                return Array(buffer[offset..<end])
            }
            guard !isAtEnd else {
                defer { offset = buffer.count }
                return offset < buffer.count ? Array(buffer[offset...]) : nil
            }
            fill()
        }
    }

    private func fill() {
        buffer.removeFirst(offset)
        offset = 0
        var piece = [UInt8](repeating: 0, count: Self.readByteCount)
        let count = unsafe piece.withUnsafeMutableBytes { bytes in
            unsafe (try? file.read(into: bytes)) ?? 0
        }
        isAtEnd = count == 0
        buffer += piece.prefix(count)
    }
}
