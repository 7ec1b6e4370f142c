internal import EventLoop
internal import Primitives

/// The timers of a loop, soonest first, and of equally soon ones the one set first.
///
/// Setting and cancelling are logarithmic, and nothing remains of a cancelled timer: each timer
/// has a slot that knows the timer's place in the heap, and its name holds the slot's number and
/// how often the slot was used before.
struct TimerHeap {
    typealias Action = @Sendable () -> Void

    /// How many timers there can be at once; a program that sets more has a bug.
    static let timerLimit = 1 << slotBits
    private static let slotBits = 24

    private struct Entry {
        let deadline: Instant
        let sequence: UInt64
        let slot: Int

        func isBefore(_ other: Entry) -> Bool {
            (deadline, sequence) < (other.deadline, other.sequence)
        }
    }

    private struct Slot {
        var useCount: UInt64 = 0
        /// Nil while the slot is free.
        var occupant: (action: Action, heapIndex: Int)?
    }

    private var heap: [Entry] = []
    private var slots: [Slot] = []
    private var freeSlots: [Int] = []
    private var nextSequence: UInt64 = 0

    var count: Int { heap.count }

    /// When the soonest timer is due.
    var nextDeadline: Instant? { heap.first?.deadline }

    mutating func insert(at deadline: Instant, _ action: @escaping Action) -> LoopTimer {
        let slot = takeSlot()
        slots[slot].occupant = (action, heap.count)
        heap.append(Entry(deadline: deadline, sequence: nextSequence, slot: slot))
        nextSequence += 1
        siftUp(from: heap.count - 1)
        return LoopTimer(id: slots[slot].useCount << Self.slotBits | UInt64(slot))
    }

    /// Forgets the timer; says whether it was still set.
    @discardableResult
    mutating func remove(_ timer: LoopTimer) -> Bool {
        let slot = Int(timer.id & UInt64(Self.timerLimit - 1))
        guard slot < slots.count, slots[slot].useCount == timer.id >> Self.slotBits,
            let occupant = slots[slot].occupant
        else { return false }
        removeEntry(at: occupant.heapIndex)
        free(slot)
        return true
    }

    /// Removes the soonest timer if it is due, and returns what it is to do.
    mutating func popDue(at now: Instant) -> Action? {
        guard let first = heap.first, first.deadline <= now,
            let occupant = slots[first.slot].occupant
        else { return nil }
        removeEntry(at: 0)
        free(first.slot)
        return occupant.action
    }

    /// Forgets all timers and hands out what they would have done, to be let go of elsewhere.
    mutating func removeAll() -> [Action] {
        let actions = slots.compactMap { $0.occupant?.action }
        for entry in heap { free(entry.slot) }
        heap = []
        return actions
    }

    private mutating func takeSlot() -> Int {
        if let slot = freeSlots.popLast() { return slot }
        precondition(slots.count < Self.timerLimit, "more timers than the loop can name")
        slots.append(Slot())
        return slots.count - 1
    }

    private mutating func free(_ slot: Int) {
        slots[slot].occupant = nil
        slots[slot].useCount += 1
        freeSlots.append(slot)
    }

    private mutating func removeEntry(at index: Int) {
        let last = heap.count - 1
        swapEntries(index, last)
        heap.removeLast()
        guard index < heap.count else { return }
        siftDown(from: index)
        siftUp(from: index)
    }

    private mutating func siftUp(from start: Int) {
        var child = start
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].isBefore(heap[parent]) else { return }
            swapEntries(child, parent)
            child = parent
        }
    }

    private mutating func siftDown(from start: Int) {
        var parent = start
        while true {
            var soonest = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && heap[child].isBefore(heap[soonest]) {
                soonest = child
            }
            guard soonest != parent else { return }
            swapEntries(parent, soonest)
            parent = soonest
        }
    }

    private mutating func swapEntries(_ first: Int, _ second: Int) {
        heap.swapAt(first, second)
        slots[heap[first].slot].occupant?.heapIndex = first
        slots[heap[second].slot].occupant?.heapIndex = second
    }
}
