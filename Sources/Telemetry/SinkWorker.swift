import Primitives
import Synchronization

/// Where records end up; used by one thread only, which may block in it.
protocol LogSink: Sendable {
    /// Writes the records in order and returns how many of them were lost.
    ///
    /// Never throws: a log that cannot be written must not stop the program that logs.
    mutating func write(_ records: [StampedRecord], at now: Instant) -> Int
    mutating func close()
}

/// What became of the records that were handed to one sink.
package struct SinkCounters: Sendable, Equatable {
    package var written: UInt64 = 0
    /// Refused because the queue was full: the sink was too slow.
    package var dropped: UInt64 = 0
    /// Taken from the queue, but the sink could not write them.
    package var lost: UInt64 = 0
}

/// How much may wait for a slow sink.
struct QueueLimits: Sendable {
    var recordLimit = 4096
    var byteLimit = 4 << 20
}

/// A bounded queue with a thread of its own that feeds one sink.
///
/// Each sink has its own thread, so that a stopped terminal (Ctrl-S, a pager, a pipe whose reader
/// sleeps) holds back neither the file nor the journal, and nothing ever holds back an event loop:
/// the thread that logs only takes a short lock. What does not fit is dropped, counted, and the
/// count is logged (`log.dropped`) as soon as the sink moves again.
final class SinkWorker: Sendable {
    private enum Entry: Sendable {
        case record(StampedRecord)
        case barrier(WakeSignal)
    }

    private struct State {
        var entries: [Entry] = []
        var recordCount = 0
        var byteCount = 0
        var unreportedDrops: UInt64 = 0
        var isWaiting = false
        var isClosed = false
        var counters = SinkCounters()
    }

    private let state = Mutex(State())
    private let wake = WakeSignal()
    private let name: String
    private let limits: QueueLimits

    init(
        name: String,
        limits: QueueLimits = QueueLimits(),
        sink: some LogSink
    ) throws(WorkerThread.StartFailure) {
        self.name = name
        self.limits = limits
        try WorkerThread.start { [self] in
            var sink = sink
            run(&sink)
            sink.close()
        }
    }

    var counters: SinkCounters {
        state.withLock { $0.counters }
    }

    func enqueue(_ stamped: StampedRecord, weight: Int) {
        let mustWake = state.withLock { state in
            guard !state.isClosed else {
                state.counters.dropped += 1
                return false
            }
            guard state.recordCount < limits.recordLimit,
                state.byteCount + weight <= limits.byteLimit
            else {
                state.counters.dropped += 1
                state.unreportedDrops += 1
                return false
            }
            state.entries.append(.record(stamped))
            state.recordCount += 1
            state.byteCount += weight
            return Self.endWait(&state)
        }
        if mustWake { wake.raise() }
    }

    /// Waits until everything that was enqueued before has been written; false if that took
    /// longer than the timeout.
    func flush(within timeout: Duration) -> Bool {
        guard let barrier = beginFlush() else { return true }
        return barrier.wait(atMost: timeout)
    }

    /// Marks the place in the queue up to which a flush waits; nil once the worker has ended.
    func beginFlush() -> WakeSignal? {
        let barrier = WakeSignal()
        let mustWake: Bool? = state.withLock { state in
            guard !state.isClosed else { return nil }
            state.entries.append(.barrier(barrier))
            return Self.endWait(&state)
        }
        guard let mustWake else { return nil }
        if mustWake { wake.raise() }
        return barrier
    }

    /// Ends the thread once it has written what is in the queue.
    func stop() {
        let mustWake = state.withLock { state in
            state.isClosed = true
            return Self.endWait(&state)
        }
        if mustWake { wake.raise() }
    }

    /// Whether the thread sleeps and must be woken; only the first who asks must do so.
    private static func endWait(_ state: inout State) -> Bool {
        defer { state.isWaiting = false }
        return state.isWaiting
    }

    // MARK: On the thread

    private func run(_ sink: inout some LogSink) {
        while let (entries, drops) = nextEntries() {
            var records: [StampedRecord] = []
            var barriers: [WakeSignal] = []
            records.reserveCapacity(entries.count)
            for entry in entries {
                switch entry {
                case .record(let record): records.append(record)
                case .barrier(let barrier): barriers.append(barrier)
                }
            }
            // What was dropped came after what was queued.
            if drops > 0 { records.append(dropNotice(drops)) }
            write(records, to: &sink)
            for barrier in barriers { barrier.raise() }
        }
    }

    /// Waits for something to do; nil once there will be nothing any more.
    private func nextEntries() -> (entries: [Entry], drops: UInt64)? {
        while true {
            let (next, isClosed) = state.withLock { state in
                let next = (entries: state.entries, drops: state.unreportedDrops)
                state.entries = []
                state.recordCount = 0
                state.byteCount = 0
                state.unreportedDrops = 0
                let isIdle = next.entries.isEmpty && next.drops == 0
                state.isWaiting = isIdle && !state.isClosed
                return (isIdle ? nil : next, state.isClosed)
            }
            if let next { return next }
            if isClosed { return nil }
            wake.wait()
        }
    }

    private func write(_ records: [StampedRecord], to sink: inout some LogSink) {
        guard !records.isEmpty else { return }
        let lost = sink.write(records, at: .monotonic)
        state.withLock { state in
            state.counters.lost += UInt64(lost)
            state.counters.written += UInt64(records.count - lost)
        }
    }

    private func dropNotice(_ drops: UInt64) -> StampedRecord {
        StampedRecord(
            time: .now,
            record: LogRecord(
                "log.dropped",
                .warning,
                "Log records were dropped: they came faster than they could be written",
                ["sink": .text(name), "count": .integer(Int64(clamping: drops))]
            )
        )
    }
}
