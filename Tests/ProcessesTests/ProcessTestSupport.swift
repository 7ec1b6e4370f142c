import Foundation
import Processes
import Synchronization

/// The built `caravan`, which is also the guard, beside the test bundle.
let guardBinary: ProcessGuard.Binary = {
    let bundle = CommandLine.arguments.first { $0.hasSuffix(".xctest") || $0.contains(".xctest/") }
    guard let bundle else { return .path("no test bundle among the arguments") }
    let folder = URL(filePath: bundle)
        .deletingLastPathComponent()
    return .path(folder.appending(path: "caravan").path())
}()

var guardPath: String {
    if case .path(let path) = guardBinary { path } else { "" }
}

func shell(_ script: String) -> ChildCommand {
    ChildCommand(executable: "/bin/sh", arguments: ["-c", script])
}

/// Collects the events of a child, and hands them over once it has ended.
final class EventLog: Sendable {
    private let events = Mutex<[ChildEvent]>([])
    private let stream: AsyncStream<ChildEvent>
    private let continuation: AsyncStream<ChildEvent>.Continuation

    init() {
        (stream, continuation) = AsyncStream.makeStream()
    }

    func append(_ event: ChildEvent) {
        continuation.yield(event)
        if case .exited = event { continuation.finish() }
    }

    /// The events up to and with the first for which the condition holds.
    func events(until isLast: (ChildEvent) -> Bool) async -> [ChildEvent] {
        for await event in stream {
            events.withLock { $0.append(event) }
            if isLast(event) { break }
        }
        return events.withLock { $0 }
    }

    func allEvents() async -> [ChildEvent] {
        await events { _ in false }
    }
}

func lines(_ events: [ChildEvent], _ wanted: ChildStream) -> [String] {
    events.compactMap { if case .line(let text, wanted) = $0 { text } else { nil } }
}

/// Whether a process runs: a zombie that nobody has reaped yet does not.
func isRunning(_ pid: Int32) -> Bool {
    guard let status = try? String(contentsOfFile: "/proc/\(pid)/stat", encoding: .utf8),
        let parenthesis = status.lastIndex(of: ")")
    else { return false }
    let state = status[parenthesis...].dropFirst(2).first
    return state != "Z" && state != "X"
}

/// Polls a condition; false when it did not come true within ten seconds.
func eventually(_ condition: () -> Bool) async -> Bool {
    for _ in 0..<1000 {
        if condition() { return true }
        try? await Task.sleep(for: .milliseconds(10))
    }
    return condition()
}

func readText(_ path: String) -> String {
    // Files under /proc have no length, which String's own reading relies on.
    guard let data = FileManager.default.contents(atPath: path) else { return "" }
    return String(decoding: data, as: UTF8.self)
}

/// A folder that goes when the test ends.
final class TemporaryFolder {
    private let url: URL

    init() throws {
        url = FileManager.default.temporaryDirectory.appending(path: "caravan-\(UUID())")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit {
        try? FileManager.default.removeItem(at: url)
    }

    func path(_ name: String) -> String {
        url.appending(path: name).path()
    }

    func write(_ name: String, _ text: String, executable: Bool = false) -> String {
        let attributes: [FileAttributeKey: Any] = [.posixPermissions: executable ? 0o755 : 0o644]
        _ = FileManager.default.createFile(
            atPath: path(name),
            contents: Data(text.utf8),
            attributes: attributes
        )
        return path(name)
    }
}
