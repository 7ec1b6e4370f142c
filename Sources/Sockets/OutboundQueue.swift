/// The bytes that wait to be written to a stream, in order.
struct OutboundQueue {
    private var chunks: [[UInt8]] = []
    private var firstChunk = 0
    /// How much of the first chunk is written already.
    private var offset = 0
    private(set) var byteCount = 0

    var isEmpty: Bool { byteCount == 0 }

    mutating func append(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        chunks.append(bytes)
        byteCount += bytes.count
    }

    /// The next bytes to write; nil if there are none.
    var next: (bytes: [UInt8], range: Range<Int>)? {
        guard firstChunk < chunks.count else { return nil }
        let chunk = chunks[firstChunk]
        return (chunk, offset..<chunk.count)
    }

    /// Forgets bytes that are written; not more than `next` gave.
    mutating func consume(_ count: Int) {
        offset += count
        byteCount -= count
        guard offset == chunks[firstChunk].count else { return }
        chunks[firstChunk] = []
        firstChunk += 1
        offset = 0
        // Moved up only when half of it is empty: each chunk is moved at most once on average.
        if firstChunk * 2 >= chunks.count {
            chunks.removeFirst(firstChunk)
            firstChunk = 0
        }
    }

    /// Everything that waits, as one array; nothing waits afterwards.
    mutating func takeAll() -> [UInt8] {
        var all: [UInt8] = []
        all.reserveCapacity(byteCount)
        for (index, chunk) in chunks.enumerated() where index >= firstChunk {
            all += index == firstChunk ? chunk[offset...] : chunk[...]
        }
        self = OutboundQueue()
        return all
    }
}
