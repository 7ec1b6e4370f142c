import Primitives

/// Writes readable lines to a terminal, a pipe or whatever standard error is.
struct TerminalSink: LogSink {
    /// How long a non-blocking descriptor whose reader sleeps may hold up this sink's thread.
    private static let patienceMilliseconds: Int32 = 1000

    private let descriptor: Int32
    private let format: TerminalFormat
    private var buffer: [UInt8] = []

    init(descriptor: Int32, format: TerminalFormat) {
        self.descriptor = descriptor
        self.format = format
    }

    mutating func write(_ records: [StampedRecord], at now: Instant) -> Int {
        var lost = 0
        // Line by line: people see each at once, and a failure loses no more than it must.
        for record in records {
            buffer.removeAll(keepingCapacity: true)
            format.append(record, to: &buffer)
            let result = FileSystem.write(
                buffer[...],
                to: descriptor,
                patienceMilliseconds: Self.patienceMilliseconds
            )
            if result.failure != nil { lost += 1 }
        }
        return lost
    }

    func close() {
        // Standard error is not ours to close.
    }
}
