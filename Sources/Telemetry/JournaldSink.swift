import Primitives

#if Journald
import CSystemd
#endif

/// Sends records to systemd-journald with all their fields.
///
/// Built with the package trait `Journald` only; without it, and where no journald listens, the
/// first record says so to the other sinks and the records count as lost here.
struct JournaldSink: LogSink {
    private let agent: String
    private let report: @Sendable (LogRecord) -> Void
    private var hasReported = false

    init(agent: String, report: @escaping @Sendable (LogRecord) -> Void) {
        self.agent = agent
        self.report = report
    }

    mutating func write(_ records: [StampedRecord], at now: Instant) -> Int {
        var lost = 0
        for record in records {
            guard let reason = Self.send(JournalFields(record, agent: agent)) else {
                hasReported = false
                continue
            }
            lost += 1
            if !hasReported {
                hasReported = true
                report(Self.unavailable(reason))
            }
        }
        return lost
    }

    func close() {
        // libsystemd keeps its socket for the life of the process.
    }

    /// Whether an entry can be sent now; the reason if not.
    static var obstacle: String? {
        #if Journald
        let result = caravan_journal_check()
        return result == 0 ? nil : SystemError(number: -result).description
        #else
        return "this build lacks the package trait Journald"
        #endif
    }

    static func unavailable(_ reason: String) -> LogRecord {
        LogRecord(
            "log.journald.failed",
            .warning,
            "Cannot write to the journal",
            ["reason": .text(reason)]
        )
    }

    /// Sends one entry; the reason if that failed.
    private static func send(_ fields: JournalFields) -> String? {
        #if Journald
        let result = unsafe fields.bytes.withUnsafeBufferPointer { bytes in
            unsafe fields.lengths.withUnsafeBufferPointer { lengths in
                unsafe caravan_journal_send(
                    bytes.baseAddress,
                    lengths.baseAddress,
                    Int32(lengths.count)
                )
            }
        }
        return result == 0 ? nil : SystemError(number: -result).description
        #else
        return obstacle
        #endif
    }
}
