import Foundation

/// What the kernel says of processes.
enum ProcessTable {
    struct Entry: Hashable {
        let pid: Int32
        let command: String
    }

    /// Whether a process runs: a zombie that nobody has reaped yet does not.
    static func isRunning(_ pid: Int32) -> Bool {
        guard let state = fields(pid)?.first else { return false }
        return state != "Z" && state != "X"
    }

    /// The running processes that a process started, and those that they started.
    static func descendants(of pid: Int32) -> [Entry] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: "/proc")) ?? []
        var parents: [Int32: [Int32]] = [:]
        for process in names.compactMap({ Int32($0) }) {
            guard let fields = fields(process), fields.count > 1, fields[0] != "Z",
                let parent = Int32(fields[1])
            else { continue }
            parents[parent, default: []].append(process)
        }
        var found: [Entry] = []
        var open = [pid]
        while let next = open.popLast() {
            for child in parents[next] ?? [] {
                found.append(Entry(pid: child, command: command(child)))
                open.append(child)
            }
        }
        return found
    }

    /// What a process has in memory, in bytes.
    static func residentBytes(_ pid: Int32) -> Int? {
        let status = text("/proc/\(pid)/status")
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        return line?.split(separator: " ").dropFirst().first.flatMap { Int($0) }.map { $0 << 10 }
    }

    private static func command(_ pid: Int32) -> String {
        text("/proc/\(pid)/cmdline").split(separator: "\0").joined(separator: " ")
    }

    /// The fields of `stat` from the state on.
    private static func fields(_ pid: Int32) -> [Substring]? {
        let stat = text("/proc/\(pid)/stat")
        guard let parenthesis = stat.lastIndex(of: ")") else { return nil }
        return stat[parenthesis...].dropFirst().split(separator: " ")
    }

    private static func text(_ path: String) -> String {
        // Files under /proc have no length, which String's own reading relies on.
        guard let data = FileManager.default.contents(atPath: path) else { return "" }
        return String(decoding: data, as: UTF8.self)
    }
}
