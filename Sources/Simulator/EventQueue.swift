import Primitives

/// What is to happen, soonest first.
///
/// Events of one node at one moment keep their order; which of several nodes comes first at the
/// same moment is drawn from the seed, since nothing in the real world decides it either.
struct EventQueue {
    /// Something that will happen, and what made it happen.
    struct Entry {
        var time: Int64
        var event: SimulatedEvent
        /// The number of the event during which this one was scheduled.
        var cause: UInt64

        fileprivate static var none: Entry { Entry(time: 0, event: .nothing, cause: 0) }
    }

    private struct Key {
        let time: Int64
        let rank: UInt64
        let slot: Int

        /// Without a branch, which nobody could predict.
        func isBefore(_ other: Key) -> Bool {
            order < other.order
        }

        private var order: Int128 { Int128(time) << 64 | Int128(rank) }
    }

    private var heap: [Key] = []
    // Apart from the keys, so that moving those costs no reference counting.
    private var entries: [Entry] = []
    private var freeSlots: [Int] = []
    private var sequence: UInt32 = 0
    private var ties: SeededGenerator

    init(ties: SeededGenerator) {
        self.ties = ties
    }

    /// From now on somebody else comes first at the same moment.
    mutating func redraw(ties: SeededGenerator) {
        self.ties = ties
    }

    /// A place among the events of one node at one moment, and what led to the event that has it.
    struct Turn {
        fileprivate var sequence: UInt32 = 0
        fileprivate(set) var cause: UInt64 = 0
    }

    /// The next place, for an event that is pushed later.
    mutating func nextTurn(cause: UInt64) -> Turn {
        sequence &+= 1
        return Turn(sequence: sequence, cause: cause)
    }

    mutating func push(_ entry: Entry, node: Int, _ turn: Turn? = nil) {
        let turn = turn ?? nextTurn(cause: entry.cause)
        var tie = ties.derived(UInt64(bitPattern: entry.time) &* 1024 &+ UInt64(node + 1))
        let rank = tie.next() & 0xFFFF_FFFF_0000_0000 | UInt64(turn.sequence)
        let slot: Int
        if let free = freeSlots.popLast() {
            slot = free
            entries[slot] = entry
        } else {
            slot = entries.count
            entries.append(entry)
        }
        heap.append(Key(time: entry.time, rank: rank, slot: slot))
        siftUp(from: heap.count - 1)
    }

    /// The soonest event, if it is not later than that.
    mutating func pop(until end: Int64) -> Entry? {
        guard let first = heap.first, first.time <= end else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            siftDown()
        }
        var entry = Entry.none
        swap(&entry, &entries[first.slot])
        freeSlots.append(first.slot)
        return entry
    }

    mutating func removeAll() {
        heap = []
        entries = []
        freeSlots = []
    }

    private mutating func siftUp(from start: Int) {
        // A span: the array is asked once whether it is its own.
        var keys = heap.mutableSpan
        var child = start
        let key = keys[child]
        while child > 0 {
            let parent = (child - 1) / 2
            guard key.isBefore(keys[parent]) else { break }
            keys[child] = keys[parent]
            child = parent
        }
        keys[child] = key
    }

    /// Moves the soonest children up, all the way, and the first key from there to its place:
    /// it was the last one, and belongs near the end.
    private mutating func siftDown() {
        var keys = heap.mutableSpan
        let key = keys[0]
        var parent = 0
        while 2 * parent + 2 < keys.count {
            let left = 2 * parent + 1
            let child = left + (keys[left + 1].isBefore(keys[left]) ? 1 : 0)
            keys[parent] = keys[child]
            parent = child
        }
        if 2 * parent + 1 < keys.count {
            keys[parent] = keys[2 * parent + 1]
            parent = 2 * parent + 1
        }
        keys[parent] = key
        siftUp(from: parent)
    }
}

/// Something that happens at a moment of virtual time.
enum SimulatedEvent {
    /// A timer that an agent set.
    case timer(SimulatedLoop, slot: Int, ticket: UInt64)
    /// Something that an agent's loop is to do.
    case action(SimulatedLoop, () -> Void)
    /// A job of the Swift runtime for an agent's loop.
    case job(SimulatedLoop, UnownedJob)
    /// A datagram reaches a node.
    case datagram(Packet)
    /// Something outside all agents: a fault, a process, a part of the network.
    case outside(() -> Void)
    case nothing
}

/// A datagram under way; nodes are numbered from 0.
///
/// An object that is used for one datagram after the other: its bytes are the only part that takes
/// memory of its own, and events that carry it stay small.
final class Packet {
    private(set) var from = 0
    private(set) var to = 0
    private(set) var bytes: [UInt8] = []
    /// The heartbeat of which the sender says that it obeys it.
    private(set) var obeyed: ObeyedHeartbeat?
    /// In a trace's lines; 0 without one.
    var number: UInt64 = 0
    /// It arrives twice.
    var isDouble = false

    func fill(from: Int, to: Int, _ content: Span<UInt8>, obeyed: ObeyedHeartbeat?) {
        self.from = from
        self.to = to
        self.obeyed = obeyed
        bytes.removeAll(keepingCapacity: true)
        bytes.append(copying: content)
    }

    /// Whether nobody else holds it once it has arrived.
    var canBeUsedAgain: Bool { number == 0 && !isDouble }

    /// Loses its last bytes on the way.
    func cut(by byteCount: Int) {
        guard byteCount > 0 else { return }
        bytes.removeLast(byteCount)
        // Whole it says so, or not at all.
        obeyed = nil
    }
}
