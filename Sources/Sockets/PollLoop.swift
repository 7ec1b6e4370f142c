internal import CPosix
package import EventLoop
package import Primitives
internal import Synchronization

/// An agent's loop on a thread of its own: timers, sockets and the jobs of its actors, in turn.
///
/// The thread sleeps in the system until there is something to do; an idle loop costs nothing.
/// Each turn takes a bounded number of each, so that none of them can starve the others.
///
/// The thread keeps the loop alive until `stop()`.
package final class PollLoop: AgentLoop {
    /// Told apart from other loops by the thread's tag, which is quicker than asking for threads.
    private let tag: UInt64
    private let poller: any Poller
    private let wake: cposix_wake
    private let origin: Int64
    private let clock = Atomic<Int64>(0)
    private let queue = Mutex(WorkQueue())
    private let timers = Mutex(TimerHeap())
    private let watched = Mutex(WatchedDescriptors())
    private let ended = Latch()
    private let wakesUntil = Atomic<Int64>(0)

    private static let lastTag = Atomic<UInt64>(0)

    /// Makes a loop and starts its thread.
    package init(
        name: String,
        mechanism: PollMechanism = .best
    ) throws(SocketError) {
        poller = try mechanism.makePoller()
        wake = cposix_wake_create()
        _ = try systemCall("eventfd", wake.read_end)
        tag = Self.lastTag.wrappingAdd(1, ordering: .relaxed).newValue
        origin = cposix_monotonic_nanoseconds()
        try poller.add(wake.read_end, token: Self.wakeToken, interest: .readable)
        // The thread owns the loop, so that whoever drops it without `stop()` gets a loop that
        // goes on, and not one that is torn down under its own feet.
        try SystemThread.start(name: name) { self.run() }
    }

    deinit {
        guard wake.read_end >= 0 else { return }
        cposix_close(wake.read_end)
        if wake.write_end != wake.read_end { cposix_close(wake.write_end) }
    }

    /// Whether the caller runs on this loop's thread.
    package var isCurrent: Bool { cposix_thread_tag() == tag }

    /// Ends the thread after the work that waits now; timers and descriptors are forgotten.
    ///
    /// Work that comes after the end never runs: stop what uses the loop first. Callable from any
    /// thread, more than once.
    package func stop() {
        let mustWake = queue.withLock { $0.stop() }
        if mustWake { cposix_wake_signal(wake.write_end) }
    }

    /// Waits until the thread has ended; never called on the loop.
    package func waitUntilStopped() {
        precondition(!isCurrent, "a loop cannot wait for its own end")
        ended.wait()
    }

    /// Runs the body on the loop while the calling thread waits; for tests and for setting up.
    package func executeAndWait<Result: Sendable>(
        _ body: @escaping @Sendable () -> Result
    ) -> Result {
        precondition(!isCurrent, "a loop cannot wait for itself")
        let done = Latch()
        let holder = ResultHolder<Result>()
        let isAccepted = add(
            .action {
                holder.result.withLock { $0 = body() }
                done.open()
            }
        )
        precondition(isAccepted, "the loop has ended")
        done.wait()
        guard let result = holder.result.withLock({ $0 }) else {
            preconditionFailure("the loop dropped an action it had taken")
        }
        return result
    }
}

private final class ResultHolder<Result: Sendable>: Sendable {
    let result = Mutex<Result?>(nil)
}

// MARK: Executor

extension PollLoop {
    package func enqueue(_ job: consuming ExecutorJob) {
        _ = add(.job(UnownedJob(job)))
    }

    package func execute(_ action: @escaping @Sendable () -> Void) {
        _ = add(.action(action))
    }

    package func checkIsolated() {
        precondition(isCurrent, "this must run on the agent's loop")
    }

    package func isIsolatingCurrentContext() -> Bool? {
        isCurrent
    }

    private func add(_ work: LoopWork) -> Bool {
        let (isAccepted, mustWake) = queue.withLock { $0.append(work) }
        if mustWake { cposix_wake_signal(wake.write_end) }
        return isAccepted
    }
}

// MARK: Time

extension PollLoop {
    package var now: Instant {
        Instant(nanoseconds: clock.load(ordering: .relaxed))
    }

    @discardableResult
    package func schedule(
        after delay: Duration,
        _ action: @escaping @Sendable () -> Void
    ) -> LoopTimer {
        precondition(isCurrent, "timers are set on the loop")
        return timers.withLock { $0.insert(at: now + max(delay, .zero), action) }
    }

    package func cancel(_ timer: LoopTimer) {
        precondition(isCurrent, "timers are cancelled on the loop")
        _ = timers.withLock { $0.remove(timer) }
    }

    /// Reads the clock; called before each callback.
    func readClock() {
        clock.store(cposix_monotonic_nanoseconds() - origin, ordering: .relaxed)
    }
}

// MARK: Staying awake

extension PollLoop {
    /// Looks for what happens again and again, for so long, instead of sleeping.
    ///
    /// For what is about to come: to be woken costs more than a short wait. Others run first.
    func stayAwake(for duration: Duration) {
        precondition(isCurrent, "a loop is kept awake on the loop")
        wakesUntil.store((now + duration).nanoseconds, ordering: .relaxed)
    }

    /// Lets others run; false, and nothing happens, if the loop need not stay awake.
    private func waitAwake() -> Bool {
        let end = wakesUntil.load(ordering: .relaxed)
        guard end > 0 else { return false }
        readClock()
        guard now.nanoseconds < end else {
            wakesUntil.store(0, ordering: .relaxed)
            return false
        }
        cposix_yield()
        return true
    }
}

// MARK: Descriptors

extension PollLoop {
    private static let wakeToken: UInt64 = 0

    /// Tells the handler whenever the descriptor is ready; only on the loop.
    func watch(
        _ descriptor: Int32,
        for interest: PollInterest,
        _ handler: any PollHandler
    ) throws(SocketError) -> WatchToken {
        precondition(isCurrent, "descriptors are watched on the loop")
        let token = watched.withLock { $0.add(descriptor, handler) }
        do throws(SocketError) {
            try poller.add(descriptor, token: token.number, interest: interest)
        } catch {
            _ = watched.withLock { $0.remove(token) }
            throw error
        }
        return token
    }

    /// Changes the interest; with none, hangups and errors are still told.
    func change(_ token: WatchToken, to interest: PollInterest) {
        precondition(isCurrent, "descriptors are watched on the loop")
        guard let descriptor = watched.withLock({ $0.descriptor(of: token) }) else { return }
        poller.change(descriptor, token: token.number, interest: interest)
    }

    /// Forgets the descriptor, which must still be open.
    func unwatch(_ token: WatchToken) {
        precondition(isCurrent, "descriptors are watched on the loop")
        guard let descriptor = watched.withLock({ $0.remove(token) }) else { return }
        poller.remove(descriptor, token: token.number)
    }
}

// MARK: The thread

extension PollLoop {
    /// How many due timers, and how much other work, one turn takes.
    private static let timerBatchLimit = 128
    private static let workBatchLimit = 256
    /// How long the work that waits at the end may take.
    private static let drainLimit: Duration = .seconds(2)

    private func run() {
        cposix_set_thread_tag(tag)
        readClock()
        var batch = WorkBatch()
        var ready: [PolledDescriptor] = []
        while !queue.withLock({ $0.isStopping }) {
            poller.wait(milliseconds: pollTime(batch), into: &ready)
            queue.withLock { $0.isAsleep = false }
            readClock()
            fireTimers()
            tellHandlers(of: ready)
            runWork(&batch)
        }
        drain(&batch)
        // Outside the locks: what is let go may call back.
        let leftTimers = timers.withLock { $0.removeAll() }
        let leftHandlers = watched.withLock { $0.removeAll() }
        _ = (leftTimers, leftHandlers)
        cposix_set_thread_tag(0)
        ended.open()
    }

    /// How long the poll may take; from here on, new work wakes it up.
    private func pollTime(_ batch: borrowing WorkBatch) -> Int32 {
        if !batch.isEmpty { return 0 }
        if waitAwake() || !queue.withLock({ $0.fallAsleep() }) { return 0 }
        guard let deadline = timers.withLock({ $0.nextDeadline }) else { return -1 }
        readClock()
        // Rounded up: a poll that returns too early would only be repeated.
        let milliseconds = ((deadline - now).wholeNanoseconds + 999_999) / 1_000_000
        return Int32(clamping: max(0, milliseconds))
    }

    private func fireTimers() {
        let turn = now
        for _ in 0..<Self.timerBatchLimit {
            guard let action = timers.withLock({ $0.popDue(at: turn) }) else { return }
            readClock()
            action()
        }
    }

    private func tellHandlers(of ready: [PolledDescriptor]) {
        for descriptor in ready {
            if descriptor.token == Self.wakeToken {
                cposix_wake_clear(wake.read_end)
                continue
            }
            let token = WatchToken(number: descriptor.token)
            // A handler that ran before may have made this one unwatch its descriptor.
            guard let handler = watched.withLock({ $0.handler(of: token) }) else { continue }
            readClock()
            handler.ready(descriptor.events)
        }
    }

    private func runWork(_ batch: inout WorkBatch) {
        for _ in 0..<Self.workBatchLimit {
            guard let work = next(&batch) else { return }
            readClock()
            switch work {
            case .job(let job):
                unsafe job.runSynchronously(
                    isolatedTo: asUnownedSerialExecutor(),
                    taskExecutor: asUnownedTaskExecutor()
                )
            case .action(let action):
                action()
            }
        }
    }

    private func next(_ batch: inout WorkBatch) -> LoopWork? {
        if batch.isEmpty { queue.withLock { $0.exchange(with: &batch) } }
        return batch.next()
    }

    private func drain(_ batch: inout WorkBatch) {
        readClock()
        let deadline = now + Self.drainLimit
        while now < deadline {
            runWork(&batch)
            if batch.isEmpty, queue.withLock({ $0.endIfEmpty() }) { return }
            readClock()
        }
        queue.withLock { $0.end() }
    }
}
