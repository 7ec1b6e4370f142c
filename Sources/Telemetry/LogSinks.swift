import Primitives

/// What became of the records, sink by sink; nil for a sink that is off.
package struct LogCounters: Sendable, Equatable {
    package var terminal: SinkCounters?
    package var file: SinkCounters?
    package var journald: SinkCounters?
}

/// The sinks of one agent: gives every record its time and hands it to each of them.
final class LogSinks: Sendable {
    private let criticalFlushLimit: Duration
    private let terminal: SinkWorker?
    private let file: SinkWorker?
    private let journald: SinkWorker?

    init(_ configuration: LogConfiguration) throws(WorkerThread.StartFailure) {
        criticalFlushLimit = configuration.criticalFlushLimit
        let obstacle = configuration.usesJournald ? JournaldSink.obstacle : nil
        let usesJournald = configuration.usesJournald && obstacle == nil
        var output = configuration.terminal
        if case .off = output, configuration.file == nil, !usesJournald, obstacle != nil {
            // Journald was to be the only sink: say it, and all else, somewhere.
            output = .standardError
        }

        let limits = configuration.queueLimits
        let terminal = try output.sink.map { sink throws(WorkerThread.StartFailure) in
            try SinkWorker(name: "terminal", limits: limits, sink: sink)
        }
        let journald: SinkWorker? =
            usesJournald
            ? try SinkWorker(
                name: "journald",
                limits: limits,
                sink: JournaldSink(agent: configuration.agentName) { record in
                    terminal?.enqueue(record)
                }
            ) : nil
        let file = try configuration.file.map { file throws(WorkerThread.StartFailure) in
            try SinkWorker(
                name: "file",
                limits: limits,
                sink: FileSink(file, agent: configuration.agentName) { record in
                    (terminal ?? journald)?.enqueue(record)
                }
            )
        }
        (self.terminal, self.journald, self.file) = (terminal, journald, file)
        if let obstacle { accept(JournaldSink.unavailable(obstacle)) }
    }

    deinit {
        stop()
    }

    private var workers: [SinkWorker] {
        [terminal, file, journald].compactMap(\.self)
    }

    var counters: LogCounters {
        LogCounters(
            terminal: terminal?.counters,
            file: file?.counters,
            journald: journald?.counters
        )
    }

    func accept(_ record: LogRecord) {
        let time = WallTime.now
        var record = record
        var weight = record.weight
        if !record.isWithinLimits(weight: weight) {
            record = record.clipped
            weight = record.weight
        }
        let stamped = StampedRecord(time: time, record: record)
        terminal?.enqueue(stamped, weight: weight)
        file?.enqueue(stamped, weight: weight)
        journald?.enqueue(stamped, weight: weight)
        if record.level == .critical { _ = flush(within: criticalFlushLimit) }
    }

    /// Waits until everything logged so far is written; false if a sink took longer.
    func flush(within timeout: Duration) -> Bool {
        let deadline = Instant.monotonic + timeout
        // All at once, so that the slowest sink alone says how long it takes.
        let barriers = workers.compactMap { $0.beginFlush() }
        var isComplete = true
        for barrier in barriers {
            isComplete = barrier.wait(atMost: deadline - .monotonic) && isComplete
        }
        return isComplete
    }

    func stop() {
        for worker in workers { worker.stop() }
    }
}

extension SinkWorker {
    /// A record about a sink, for another sink.
    fileprivate func enqueue(_ record: LogRecord) {
        enqueue(StampedRecord(time: .now, record: record), weight: record.weight)
    }
}
