import FoundationEssentials
import Namespaces
import Processes

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Android)
import Android
#elseif canImport(Darwin)
import Darwin
#endif

/// What the system tells of processes, and where programs are.
enum ProcessTools {
    static var isRoot: Bool { geteuid() == 0 }

    /// This program, wherever it was started from; also for processes in other namespaces.
    static var ownPath: String {
        #if os(Linux) || os(Android)
        let path = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return path ?? "/proc/self/exe"
        #else
        return CommandLine.arguments.first ?? "caravan"
        #endif
    }

    /// Runs this program in a network namespace of its own, and passes on what it says.
    static func runApart(_ arguments: [String], isRoot: Bool) async -> ChildExit {
        let command = NamespaceNetwork.entering(
            ChildCommand(executable: ownPath, arguments: arguments),
            isRoot: isRoot
        )
        return await runForLines(command) { line, stream in
            if stream == .standardOutput {
                Output.write(line + "\n")
            } else {
                Output.writeError(line)
            }
        }
    }

    static func find(_ program: String) -> String? {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? ""
        let folders = path.split(separator: ":").map(String.init) + ["/usr/sbin", "/sbin"]
        return folders.map { "\($0)/\(program)" }.first {
            FileManager.default.isExecutableFile(atPath: $0)
        }
    }

    /// How long the process has run on a core, in all its threads; nil where there is no /proc.
    static func cpuSeconds(of pid: Int32) -> Double? {
        guard let text = read("/proc/\(pid)/stat"), let end = text.lastIndex(of: ")") else {
            return nil
        }
        let fields = text[text.index(after: end)...].split(separator: " ")
        guard fields.count > 12, let user = Double(fields[11]), let system = Double(fields[12])
        else { return nil }
        return (user + system) / Double(sysconf(Int32(_SC_CLK_TCK)))
    }

    /// Memory that belongs to the process alone and to no file.
    static func anonymousKiB(of pid: Int32) -> Int? {
        kiB("RssAnon:", of: "\(pid)")
    }

    /// The most memory that this process has held so far.
    static var peakKiB: Int? { kiB("VmHWM:", of: "self") }

    private static func kiB(_ field: String, of process: String) -> Int? {
        read("/proc/\(process)/status")?.split(separator: "\n")
            .first { $0.hasPrefix(field) }?
            .split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first
            .flatMap { Int($0) }
    }

    /// What left the interfaces of the process's network namespace.
    static func sentTraffic(of pid: Int32) -> (bytes: Int, packets: Int)? {
        guard let text = read("/proc/\(pid)/net/dev") else { return nil }
        var bytes = 0
        var packets = 0
        for line in text.split(separator: "\n").dropFirst(2) {
            let fields = line.split(whereSeparator: { $0 == " " || $0 == ":" })
            guard fields.count > 10 else { continue }
            bytes += Int(fields[9]) ?? 0
            packets += Int(fields[10]) ?? 0
        }
        return (bytes, packets)
    }

    private static func read(_ path: String) -> String? {
        (try? Data(contentsOf: URL(filePath: path))).map { String(decoding: $0, as: UTF8.self) }
    }
}
