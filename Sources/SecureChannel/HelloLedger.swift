package import Primitives

/// What a device says in the first message of its handshakes, and whose it answers: each once, and
/// none that was meant for another device (Protocols/secure-channel.md, Greetings).
///
/// Everything later in a handshake depends on fresh keys of both sides. The first message does not,
/// so whoever recorded one could get an answer to it elsewhere or later; this is what forbids it.
package struct HelloLedger: Sendable {
    /// How many senders are remembered; who has not said hello for longest gives way.
    package static let senderLimit = 1024
    /// By how many a sender's hellos may overtake each other.
    static let recentLimit = 16
    /// How many numbers are set aside on disk at a time.
    static let reserve: UInt64 = 1 << 16

    /// What must outlive the agent, so that a later life answers nothing that this one took.
    package struct Kept: Equatable, Sendable {
        /// All numbers below may have been used.
        package var next: UInt64
        /// The highest number taken of each sender, the least recent first.
        package var heard: [(sender: NodeID, number: UInt64)]

        package init(next: UInt64 = 0, heard: [(sender: NodeID, number: UInt64)] = []) {
            self.next = next
            self.heard = heard.suffix(HelloLedger.senderLimit)
        }

        package static func == (left: Self, right: Self) -> Bool {
            left.next == right.next && left.heard.elementsEqual(right.heard, by: ==)
        }
    }

    private struct Heard: Sendable {
        /// This and all below were taken, or are too old to know.
        var floor: UInt64
        /// Above it, rising.
        var taken: [UInt64] = []

        var highest: UInt64 { taken.last ?? floor }

        mutating func take(_ number: UInt64) -> Bool {
            guard number > floor, !taken.contains(number) else { return false }
            let place = taken.firstIndex { $0 > number } ?? taken.endIndex
            taken.insert(number, at: place)
            if taken.count > HelloLedger.recentLimit { floor = taken.removeFirst() }
            return true
        }
    }

    private let own: NodeID
    private let isReachedAt: @Sendable (Endpoint) -> Bool
    private var next: UInt64
    private var reserved: UInt64
    private var heard: [NodeID: Heard]
    /// The least recent first.
    private var order: [NodeID]
    /// Whether `kept` has changed since it was last asked for.
    package private(set) var isChanged = true

    /// - Parameters:
    ///   - time: wall-clock milliseconds.
    ///   - isReachedAt: whether an endpoint is this device's; its address has no scope.
    package init(
        own: NodeID,
        kept: Kept = Kept(),
        time: UInt64,
        isReachedAt: @escaping @Sendable (Endpoint) -> Bool
    ) {
        self.own = own
        self.isReachedAt = isReachedAt
        // From 1: nothing is above 0 yet.
        next = max(kept.next, time, 1)
        reserved = next &+ Self.reserve
        heard = [:]
        order = []
        for (sender, number) in kept.heard where heard[sender] == nil {
            heard[sender] = Heard(floor: number)
            order.append(sender)
        }
    }

    /// What is to be written down now.
    package mutating func keep() -> Kept {
        isChanged = false
        return Kept(
            next: reserved,
            heard: order.compactMap { sender in heard[sender].map { (sender, $0.highest) } }
        )
    }

    /// The greeting of the next hello.
    mutating func greeting(to target: Endpoint) -> [UInt8] {
        let number = next
        next &+= 1
        if next >= reserved {
            reserved = next &+ Self.reserve
            isChanged = true
        }
        var bytes: [UInt8] = []
        bytes.append(bigEndian: own.rawValue)
        bytes.append(bigEndian: number)
        switch target.address {
        case .v4(let bits):
            bytes.append(4)
            bytes.append(bigEndian: bits)
        case .v6(let bits, _):
            bytes.append(6)
            bytes.append(bigEndian: bits.value)
        }
        bytes.append(bigEndian: target.port)
        return bytes
    }

    /// Takes a greeting that says that it is for this device and was not taken yet, and gives its
    /// sender, which has not proved anything.
    mutating func take(
        _ greeting: ArraySlice<UInt8>,
        _ keys: CurrentKeys,
        under id: UInt32
    ) throws(SecureChannelError) -> NodeID {
        let (sender, number, target) = try Self.read(greeting)
        guard sender != own else { throw .replayed }
        guard isReachedAt(target) else { throw .otherTarget(target) }
        guard !keys.hasRemoved(sender) else { throw .removedDevice }
        guard keys.isOpen(id, to: sender) else { throw .closingKey(id) }
        var entry = heard[sender] ?? Heard(floor: 0)
        guard entry.take(number) else { throw .replayed }
        if let place = order.firstIndex(of: sender) {
            order.remove(at: place)
        } else if order.count >= Self.senderLimit {
            heard[order.removeFirst()] = nil
        }
        order.append(sender)
        heard[sender] = entry
        isChanged = true
        return sender
    }

    private static func read(
        _ bytes: ArraySlice<UInt8>
    ) throws(SecureChannelError) -> (sender: NodeID, number: UInt64, target: Endpoint) {
        let fixed = NodeID.byteCount + 8
        guard bytes.count > fixed else {
            throw .truncated(needed: fixed + 1, available: bytes.count)
        }
        let family = bytes[bytes.startIndex + fixed]
        let address = bytes.dropFirst(fixed + 1).dropLast(2)
        let addressByteCount: Int
        switch family {
        case 4: addressByteCount = 4
        case 6: addressByteCount = 16
        default: throw .badValue(field: "family", value: UInt64(family))
        }
        let count = fixed + 1 + addressByteCount + 2
        guard bytes.count >= count else {
            throw .truncated(needed: count, available: bytes.count)
        }
        guard bytes.count == count else { throw .tooLong(byteCount: bytes.count, limit: count) }
        let target: IPAddress =
            family == 4
            ? .v4(SealedHeader.integer(address))
            : .v6(IPv6Bits(SealedHeader.integer(address) as UInt128))
        return (
            NodeID(SealedHeader.integer(bytes.prefix(NodeID.byteCount))),
            SealedHeader.integer(bytes.dropFirst(NodeID.byteCount).prefix(8)),
            Endpoint(address: target, port: SealedHeader.integer(bytes.suffix(2)))
        )
    }
}
