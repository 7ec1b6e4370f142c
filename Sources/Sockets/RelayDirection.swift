/// One direction of a pair: what was read on one side and not yet written on the other.
struct RelayDirection {
    /// Ready to be written: sealed already where the other side is sealed.
    private(set) var pending: [UInt8]
    private(set) var offset = 0
    /// The reading side has ended; what is pending still goes out.
    private(set) var sourceEnded = false
    /// The mark of the end was added to what is pending.
    private(set) var isMarked = false
    /// The end was passed on: nothing happens in this direction any more.
    private(set) var isShut = false
    private(set) var byteCount: UInt64 = 0

    /// `first` are bytes that were read before.
    init(first: [UInt8] = []) {
        pending = first
    }

    /// Reading pauses while bytes are pending: this is the backpressure.
    var wantsRead: Bool { pending.isEmpty && !sourceEnded }
    var wantsWrite: Bool { !pending.isEmpty }

    var pendingRange: Range<Int> { offset..<pending.count }

    /// Keeps what could not be written at once, behind what waits already.
    mutating func keep(_ bytes: ArraySlice<UInt8>) {
        if pending.isEmpty {
            pending = Array(bytes)
            offset = 0
        } else {
            pending += bytes
        }
    }

    /// Counts bytes that went out straight from the buffer.
    mutating func notePassed(_ count: Int) {
        byteCount += UInt64(count)
    }

    /// Forgets pending bytes that went out.
    mutating func consume(_ count: Int) {
        offset += count
        byteCount += UInt64(count)
        guard offset == pending.count else { return }
        pending = []
        offset = 0
    }

    mutating func noteSourceEnded() { sourceEnded = true }
    mutating func noteMarked() { isMarked = true }
    mutating func noteShut() { isShut = true }
}
