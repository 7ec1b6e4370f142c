import Foundation
import Primitives
import Synchronization
import Testing

@testable import Telemetry

@Suite struct SinkWorkerTests {
    /// Takes records only while its gate is open.
    private struct GatedSink: LogSink {
        let gate: WakeSignal
        let entered: WakeSignal
        let taken: Reports

        func write(_ records: [StampedRecord], at now: Instant) -> Int {
            entered.raise()
            gate.wait()
            gate.raise()
            for record in records { taken.append(record.record) }
            return 0
        }

        func close() {}
    }

    private let gate = WakeSignal()
    private let entered = WakeSignal()
    private let taken = Reports()

    private func worker(_ limits: QueueLimits) throws -> SinkWorker {
        try SinkWorker(
            name: "gated",
            limits: limits,
            sink: GatedSink(gate: gate, entered: entered, taken: taken)
        )
    }

    @Test func `a slow sink drops what does not fit, and the count is logged`() throws {
        let worker = try worker(QueueLimits(recordLimit: 5))
        // Its thread holds the first and waits; the next five fill the queue.
        worker.enqueue(stamped(number: 0), weight: 1)
        #expect(entered.wait(atMost: .seconds(30)))
        for number in 1...12 { worker.enqueue(stamped(number: number), weight: 1) }
        #expect(worker.counters == SinkCounters(written: 0, dropped: 7, lost: 0))
        #expect(!worker.flush(within: .milliseconds(1)))
        gate.raise()
        #expect(worker.flush(within: .seconds(30)))
        #expect(taken.ids == Array(repeating: "test.number", count: 6) + ["log.dropped"])
        #expect(
            taken.all.last?.fields.map(\.value) == [.text("gated"), .integer(7)]
        )
        #expect(worker.counters == SinkCounters(written: 7, dropped: 7, lost: 0))
        worker.stop()
    }

    @Test func `the queue is bounded in bytes too`() throws {
        let worker = try worker(QueueLimits(recordLimit: 100, byteLimit: 1000))
        worker.enqueue(stamped(number: 0), weight: 1)
        #expect(entered.wait(atMost: .seconds(30)))
        for number in 1...3 { worker.enqueue(stamped(number: number), weight: 400) }
        #expect(worker.counters.dropped == 1)
        gate.raise()
        #expect(worker.flush(within: .seconds(30)))
        worker.stop()
    }

    @Test func `stopping writes what is queued and takes no more`() throws {
        let worker = try worker(QueueLimits())
        worker.enqueue(stamped(number: 0), weight: 1)
        #expect(entered.wait(atMost: .seconds(30)))
        for number in 1...10 { worker.enqueue(stamped(number: number), weight: 1) }
        let barrier = try #require(worker.beginFlush())
        worker.stop()
        worker.enqueue(stamped(number: 11), weight: 1)
        gate.raise()
        #expect(barrier.wait(atMost: .seconds(30)))
        #expect(taken.all.count == 11)
        #expect(worker.counters.dropped == 1)
        #expect(worker.flush(within: .seconds(30)))
    }

    @Test func `records of many threads all arrive`() async throws {
        let worker = try worker(QueueLimits(recordLimit: 100_000, byteLimit: 1 << 30))
        gate.raise()
        await withTaskGroup { group in
            for task in 0..<8 {
                group.addTask {
                    for number in 0..<500 {
                        worker.enqueue(stamped(number: task * 1000 + number), weight: 1)
                    }
                }
            }
        }
        #expect(worker.flush(within: .seconds(30)))
        #expect(taken.all.count == 4000)
        worker.stop()
    }
}
