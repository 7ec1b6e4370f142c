/// One thing for a loop to run.
enum LoopWork: Sendable {
    case job(UnownedJob)
    case action(@Sendable () -> Void)
}

/// What other threads hand to a loop, in order.
struct WorkQueue {
    private var waiting: [LoopWork] = []
    /// The loop sleeps, or is about to: whoever adds work must wake it.
    var isAsleep = false
    private(set) var isStopping = false
    private var hasEnded = false

    mutating func append(_ work: LoopWork) -> (isAccepted: Bool, mustWake: Bool) {
        if hasEnded { return (false, false) }
        waiting.append(work)
        return (true, wakeUp())
    }

    mutating func stop() -> Bool {
        isStopping = true
        return wakeUp()
    }

    private mutating func wakeUp() -> Bool {
        defer { isAsleep = false }
        return isAsleep
    }

    /// Marks the loop as asleep if nothing waits; says whether it may sleep.
    mutating func fallAsleep() -> Bool {
        isAsleep = waiting.isEmpty && !isStopping
        return isAsleep
    }

    /// Moves what waits into an empty batch, whose memory is used for what comes next.
    mutating func exchange(with batch: inout WorkBatch) {
        batch.refill(with: &waiting)
    }

    mutating func endIfEmpty() -> Bool {
        guard waiting.isEmpty else { return false }
        end()
        return true
    }

    /// From now on nothing is taken.
    mutating func end() {
        hasEnded = true
        waiting = []
    }
}

/// What the loop has taken out of the queue, and runs.
struct WorkBatch {
    /// More memory than this is not kept after a burst.
    private static let keptCapacityLimit = 4096

    private var work: [LoopWork] = []
    private var position = 0

    var isEmpty: Bool { position == work.count }

    mutating func next() -> LoopWork? {
        guard position < work.count else { return nil }
        defer { position += 1 }
        return work[position]
    }

    mutating func refill(with waiting: inout [LoopWork]) {
        precondition(isEmpty, "work would be lost")
        work.removeAll(keepingCapacity: work.capacity <= Self.keptCapacityLimit)
        position = 0
        swap(&work, &waiting)
    }
}
