internal import DequeModule
package import LlamaRPC

/// The worker's side of a stream that carries tensors by name (Protocols/tensors.md).
///
/// Turns announcements back into the bytes that llama-server had said, in their order: from what
/// this device has, or from what it then asks for. Whether it has a piece it says only after the
/// piece was read and found whole, so nothing that is said has to be taken back.
package struct TensorReceiver: Sendable {
    /// What is to be done about a piece.
    package enum Effect: Equatable, Sendable {
        /// Look for it, and say what was found with `found`; the place is where it belongs, if
        /// that is known.
        case look(PieceName, byteCount: Int, number: UInt64, at: TensorPlace?)
        /// It came from the other side: it may be kept, if the name is its own.
        case keep(PieceName, [UInt8])
    }

    private enum Item {
        case bytes([UInt8])
        case looking(PieceName, byteCount: Int)
        case needed(PieceName, byteCount: Int)
        case ready([UInt8])

        var byteCount: Int {
            switch self {
            case .bytes(let bytes), .ready(let bytes): bytes.count
            case .looking(_, let byteCount), .needed(_, let byteCount): byteCount
            }
        }
    }

    private var parts = PartReader()
    private var places = PlaceTracker()
    /// What waits for the RPC server, oldest first.
    private var items = Deque<Item>()
    /// The number of the oldest.
    private var head: UInt64 = 0
    private var waitingByteCount = 0
    /// Numbers of pieces that are looked for, and of those that were asked for.
    private var looked = Deque<UInt64>()
    private var asked = Deque<UInt64>()
    /// What has come of the piece that was asked for first.
    private var filling: [UInt8] = []
    package private(set) var totals = TensorTotals()

    /// Small plain bytes that wait are joined up to this.
    private static let joinByteLimit = 1 << 16

    package init() {}

    /// Whether more is taken from the other side.
    ///
    /// Not while enough waits for the RPC server and goes on by itself; but always while the
    /// oldest is a piece that must come first.
    package var takesMore: Bool {
        guard waitingByteCount >= PieceLimits.readyByteLimit else { return true }
        if case .needed = items.first { return true }
        return false
    }

    /// Whether `writeNext` has something for the RPC server.
    package var hasMore: Bool {
        switch items.first {
        case .bytes, .ready: true
        case nil, .looking, .needed: false
        }
    }

    // MARK: - From the other side

    /// Takes what the other side sent, and appends what goes to the RPC server at once.
    package mutating func receive(
        _ bytes: ArraySlice<UInt8>,
        requests: inout [UInt8],
        effects: inout [Effect]
    ) throws(TensorStreamError) {
        var rest = bytes
        while let event = try parts.next(&rest) {
            switch event {
            case .bytes(let bytes):
                places.pass(bytes)
                if items.isEmpty { requests += bytes } else { try wait(plain: bytes) }
            case .announced(let name, let byteCount):
                looked.append(head + UInt64(items.count))
                try wait(.looking(name, byteCount: byteCount))
                let number = head + UInt64(items.count) - 1
                let place = places.announced(byteCount: byteCount)
                effects.append(.look(name, byteCount: byteCount, number: number, at: place))
            case .pieceBegins(let byteCount):
                let wanted = try neededByteCount()
                guard wanted == byteCount else {
                    throw .otherByteCount(announced: wanted, sent: byteCount)
                }
                filling.reserveCapacity(wanted)
            case .pieceBytes(let bytes): fill(bytes, &effects)
            case .have: throw .misplacedPart(PartKind.have.rawValue)
            case .need: throw .misplacedPart(PartKind.need.rawValue)
            case .base: throw .misplacedPart(PartKind.base.rawValue)
            }
        }
    }

    private mutating func wait(plain bytes: ArraySlice<UInt8>) throws(TensorStreamError) {
        let last = items.count - 1
        if case .bytes(var before) = items[last],
            before.count + bytes.count <= Self.joinByteLimit
        {
            // The only copy: it grows in place.
            items[last] = .bytes([])
            before += bytes
            items[last] = .bytes(before)
            waitingByteCount += bytes.count
            return
        }
        try wait(.bytes(Array(bytes)))
    }

    private mutating func wait(_ item: Item) throws(TensorStreamError) {
        items.append(item)
        waitingByteCount += item.byteCount
        guard waitingByteCount <= PieceLimits.waitingByteLimit else {
            throw .tooMuchWaits(
                byteCount: waitingByteCount,
                limit: PieceLimits.waitingByteLimit
            )
        }
    }

    private func neededByteCount() throws(TensorStreamError) -> Int {
        guard let number = asked.first, case .needed(_, let byteCount) = items[place(number)]
        else { throw .unasked(part: PartKind.piece.rawValue) }
        return byteCount
    }

    private mutating func fill(_ bytes: ArraySlice<UInt8>, _ effects: inout [Effect]) {
        guard let number = asked.first,
            case .needed(let name, let byteCount) = items[place(number)]
        else { return }
        filling += bytes
        guard filling.count == byteCount else { return }
        items[place(number)] = .ready(filling)
        effects.append(.keep(name, filling))
        totals.sentPieces += 1
        totals.sentByteCount += UInt64(byteCount)
        filling = []
        _ = asked.removeFirst()
    }

    private func place(_ number: UInt64) -> Int {
        Int(number - head)
    }

    // MARK: - From this device

    /// Takes what was found of a piece, nil for nothing, and appends the answer.
    ///
    /// Pieces are told of in the order in which they were to be looked for.
    package mutating func found(
        _ number: UInt64,
        _ bytes: [UInt8]?,
        answers: inout [UInt8]
    ) {
        guard looked.first == number, case .looking(let name, let byteCount) = items[place(number)]
        else { return }
        _ = looked.removeFirst()
        if let bytes, bytes.count == byteCount {
            items[place(number)] = .ready(bytes)
            answers.append(PartKind.have.rawValue)
            totals.foundPieces += 1
            totals.foundByteCount += UInt64(byteCount)
        } else {
            items[place(number)] = .needed(name, byteCount: byteCount)
            asked.append(number)
            answers.append(PartKind.need.rawValue)
        }
    }

    /// Appends the oldest that waits, if it is there.
    package mutating func writeNext(into requests: inout [UInt8]) {
        switch items.first {
        case .bytes(let bytes), .ready(let bytes):
            requests += bytes
            waitingByteCount -= bytes.count
            _ = items.removeFirst()
            head += 1
        case nil, .looking, .needed: break
        }
    }

    /// Appends where a buffer begins, for the other side, which has agreed to be told.
    package mutating func tell(_ base: RPCBufferBase, into sealed: inout [UInt8]) {
        sealed.append(base)
    }

    /// Appends what the RPC server said, for the other side.
    package mutating func reply(_ bytes: ArraySlice<UInt8>, into sealed: inout [UInt8]) {
        var plain = PlainRun()
        plain.append(bytes, to: &sealed)
        plain.close(&sealed)
    }
}
