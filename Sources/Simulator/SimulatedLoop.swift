package import EventLoop
package import Primitives

/// The loop of one life of a simulated agent, in virtual time.
///
/// Used only by the thread that runs the simulation, which is why it is Sendable unchecked: the
/// agents' protocols ask for it, and no lock is needed.
package final class SimulatedLoop: AgentLoop, @unchecked Sendable {
    let host: SimulatedHost
    private let simulation: Simulation
    /// Whether a callback of this loop runs now.
    var isRunning = false
    /// The process of this life is gone: nothing of it runs again.
    private(set) var hasEnded = false
    package private(set) var now = Instant.origin

    private struct Slot {
        /// Tells the timers that had this slot apart.
        var use: UInt64 = 0
        /// Tells the events of one slot apart: only the last one counts.
        var ticket: UInt64 = 0
        /// When that event comes; nil once it has come.
        ///
        /// A timer that is set again before then does without an event of its own: this one makes
        /// it, for the moment at which the timer is due.
        var eventTime: Int64?
        /// When the timer is due, on the world's clock, and the place in the queue that it had if
        /// its event were made when it was set.
        var due: Int64 = 0
        var turn = EventQueue.Turn()
        var deadline = Instant.origin
        var action: (@Sendable () -> Void)?
    }

    private var slots: [Slot] = []
    private var freeSlots: [Int] = []
    private var lastTicket: UInt64 = 0
    private static let slotBits: UInt64 = 24

    init(host: SimulatedHost, simulation: Simulation) {
        self.host = host
        self.simulation = simulation
    }

    // MARK: - For the agent

    @discardableResult
    package func schedule(
        after delay: Duration,
        _ action: @escaping @Sendable () -> Void
    ) -> LoopTimer {
        precondition(isRunning, "timers are set on the loop")
        let index: Int
        if let free = freeSlots.popLast() {
            index = free
        } else {
            index = slots.count
            slots.append(Slot())
        }
        slots[index].deadline = now + max(delay, .zero)
        slots[index].action = action
        push(index)
        return LoopTimer(id: slots[index].use << Self.slotBits | UInt64(index))
    }

    package func cancel(_ timer: LoopTimer) {
        precondition(isRunning, "timers are cancelled on the loop")
        let index = Int(timer.id & (1 << Self.slotBits - 1))
        guard index < slots.count, slots[index].use == timer.id >> Self.slotBits else { return }
        free(index)
    }

    package func execute(_ action: @escaping @Sendable () -> Void) {
        simulation.schedule(.action(self, action), after: 0, node: host.index)
    }

    package func enqueue(_ job: consuming ExecutorJob) {
        simulation.schedule(.job(self, UnownedJob(job)), after: 0, node: host.index)
    }

    package func checkIsolated() {
        precondition(isRunning, "this must run on the agent's loop")
    }

    package func isIsolatingCurrentContext() -> Bool? {
        isRunning
    }

    package var isCurrent: Bool { isRunning }

    // MARK: - For the simulation

    /// Runs something as a callback of this loop; not at all once the process is gone.
    func run(_ body: () -> Void) {
        guard !hasEnded else { return }
        precondition(!isRunning, "a loop runs one callback at a time")
        isRunning = true
        now = Instant(nanoseconds: host.clock.read(simulation.now))
        body()
        isRunning = false
    }

    func run(_ job: UnownedJob) {
        // A job of a process that is gone is never run again, as its thread would not.
        run {
            unsafe job.runSynchronously(
                isolatedTo: asUnownedSerialExecutor(),
                taskExecutor: asUnownedTaskExecutor()
            )
        }
    }

    /// What a timer is to do, now that its event has come; nil if it was cancelled, or if the
    /// clock was slowed down and it is early.
    func takeTimer(_ index: Int, ticket: UInt64) -> (@Sendable () -> Void)? {
        guard isPending(index, ticket: ticket), slots[index].action != nil else { return nil }
        guard host.clock.read(simulation.now) >= slots[index].deadline.nanoseconds else {
            push(index)
            return nil
        }
        var action: (@Sendable () -> Void)?
        swap(&action, &slots[index].action)
        free(index)
        return action
    }

    /// Whether the event of a timer that came now is to be handled; one that was set again and is
    /// due later gets another.
    func isPending(_ index: Int, ticket: UInt64) -> Bool {
        guard !hasEnded, slots[index].ticket == ticket else { return false }
        guard slots[index].action != nil else {
            slots[index].eventTime = nil
            return false
        }
        guard slots[index].due <= simulation.now else {
            pushEvent(index)
            return false
        }
        slots[index].eventTime = nil
        return true
    }

    /// The clock runs at another pace now: every timer comes at another moment.
    func retimeAll() {
        for index in slots.indices where slots[index].action != nil {
            push(index, isRetimed: true)
        }
    }

    func end() {
        hasEnded = true
        slots = []
        freeSlots = []
    }

    private func push(_ index: Int, isRetimed: Bool = false) {
        let wait = host.clock.wait(
            until: slots[index].deadline.nanoseconds,
            from: simulation.now
        )
        slots[index].due = simulation.now + wait
        slots[index].turn = simulation.nextTurn()
        // One at that very moment has an earlier turn.
        if let time = slots[index].eventTime, time < slots[index].due, !isRetimed { return }
        pushEvent(index)
    }

    private func pushEvent(_ index: Int) {
        lastTicket += 1
        slots[index].ticket = lastTicket
        slots[index].eventTime = slots[index].due
        simulation.schedule(
            .timer(self, slot: index, ticket: lastTicket),
            at: slots[index].due,
            node: host.index,
            slots[index].turn
        )
    }

    private func free(_ index: Int) {
        slots[index].action = nil
        slots[index].use += 1
        freeSlots.append(index)
    }
}

/// A node's clock, which may run faster or slower than the world's.
struct SimulatedClock {
    private(set) var rate = 1.0
    private var base: Int64 = 0
    private var since: Int64 = 0

    /// What the clock shows at a moment of the world.
    func read(_ now: Int64) -> Int64 {
        rate == 1 ? base + (now - since) : base + Int64(Double(now - since) * rate)
    }

    /// How long the world must wait until the clock shows at least `moment`.
    func wait(until moment: Int64, from now: Int64) -> Int64 {
        let missing = max(0, moment - read(now))
        guard rate != 1, missing > 0 else { return missing }
        // One nanosecond more than exact: a timer must never be early.
        return Int64((Double(missing) / rate).rounded(.up)) + 1
    }

    /// Goes forward at once, as after a suspend.
    mutating func jump(by distance: Int64) {
        base += distance
    }

    mutating func change(rate: Double, at now: Int64) {
        base = read(now)
        since = now
        self.rate = rate
    }
}
