internal import CPosix
internal import FoundationEssentials

/// What the system says of a process at a moment.
package struct ProcessAccount: Equatable, Sendable {
    package enum State: Equatable, Sendable {
        case runs
        case sleeps
        case waitsForDisk
        /// By a signal or a debugger.
        case isStopped
        case hasEnded
    }

    package var state: State
    /// Of all its threads, in user and kernel mode; the system counts in steps of 10 ms.
    package var processorTime: Duration

    /// Nil where the system does not tell, or there is no such process.
    package static func read(pid: Int32) -> ProcessAccount? {
        guard let data = FileManager.default.contents(atPath: "/proc/\(pid)/stat") else {
            return nil
        }
        return ProcessAccount(stat: String(decoding: data, as: UTF8.self))
    }

    /// Reads `/proc/PID/stat` (proc(5)); nil if it makes no sense.
    package init?(stat: String, ticksPerSecond: Int64? = nil) {
        let ticksPerSecond = ticksPerSecond ?? caravan_clock_ticks_per_second()
        // The name may have blanks and parentheses of its own.
        guard let name = stat.lastIndex(of: ")"), ticksPerSecond > 0 else { return nil }
        let fields = stat[name...].dropFirst().split(separator: " ")
        guard fields.count > 12, let user = Int64(fields[11]), let system = Int64(fields[12]),
            user >= 0, system >= 0, user <= .max >> 12, system <= .max >> 12
        else { return nil }
        switch fields[0] {
        case "R": state = .runs
        case "S", "I": state = .sleeps
        case "D": state = .waitsForDisk
        case "T", "t": state = .isStopped
        default: state = .hasEnded
        }
        processorTime = .milliseconds(1000 * (user + system) / ticksPerSecond)
    }
}
