package import Primitives

/// Seals beacons, which go to whoever is near: with a key of the whole cluster.
///
/// A beacon only tells where a device may be asked. Each is taken once, in the order of its
/// sender's clock, and none that is older than this agent: it may have been recorded.
package struct BeaconSeal: Sendable {
    package static let senderLimit = 1024
    /// How far behind its receiver's clock a beacon may be, in milliseconds, and its sender's clock.
    package static let ageLimit: UInt64 = 5 * 60 * 1000
    private static let nonceByteCount = 12
    /// Header, nonce, sender, time and tag.
    package static let overhead =
        SealedHeader.byteCount + nonceByteCount + 16 + 8 + NoiseCipher.tagByteCount

    private let own: NodeID
    private var keys: CurrentKeys
    private var lastNumber: UInt64 = 0
    private var heard: [NodeID: UInt64] = [:]

    package init(own: NodeID, keys: CurrentKeys) {
        self.own = own
        self.keys = keys
    }

    package mutating func use(_ keys: CurrentKeys) {
        self.keys = keys
    }

    /// - Parameter time: wall-clock milliseconds; numbers that were used already are counted on.
    package mutating func seal(_ message: [UInt8], time: UInt64) -> [UInt8] {
        lastNumber = max(lastNumber &+ 1, time)
        var generator = SystemRandomNumberGenerator()
        var bytes = SealedHeader.bytes(DatagramSessions.Kind.beacon.rawValue, keys.sealing.id)
        var nonce: [UInt8] = []
        nonce.append(bigEndian: generator.next() as UInt64)
        nonce.append(bigEndian: generator.next() as UInt32)
        bytes += nonce
        var plain: [UInt8] = []
        plain.append(bigEndian: own.rawValue)
        plain.append(bigEndian: lastNumber)
        plain += message
        let header = bytes[...]
        guard
            (try? BeaconCipher.seal(plain[...], keys.sealing.beacon, nonce, header, into: &bytes))
                != nil
        else { return [] }
        return bytes
    }

    /// Opens a beacon, and gives its sender and what it says.
    ///
    /// Clocks need not agree: its own beacons are never too old for a device whose beacons are too
    /// old for this one, and one that hears the other is enough.
    ///
    /// - Parameters:
    ///   - time: wall-clock milliseconds.
    ///   - uptime: milliseconds since this agent was started.
    package mutating func open(
        _ datagram: [UInt8],
        time: UInt64,
        uptime: UInt64
    ) throws(SecureChannelError) -> (sender: NodeID, message: [UInt8]) {
        let (kind, id) = try SealedHeader.read(datagram[...])
        guard kind == DatagramSessions.Kind.beacon.rawValue else {
            throw .badValue(field: "kind", value: UInt64(kind))
        }
        guard datagram.count >= Self.overhead else {
            throw .truncated(needed: Self.overhead, available: datagram.count)
        }
        let key = try keys.key(id)
        let start = SealedHeader.byteCount + Self.nonceByteCount
        var plain: [UInt8] = []
        try BeaconCipher.open(
            datagram[start...],
            key.beacon,
            Array(datagram[SealedHeader.byteCount..<start]),
            datagram[..<start],
            into: &plain
        )
        let sender = NodeID(SealedHeader.integer(plain[..<16]))
        guard !keys.removed.contains(sender) else { throw .removedDevice }
        let number: UInt64 = SealedHeader.integer(plain[16..<24])
        if sender != own, let newest = heard[sender] {
            guard number != newest else { throw .repeated }
            guard number > newest else { throw .replayed }
        }
        let oldest = time - min(time, uptime, Self.ageLimit)
        guard number >= oldest else { throw .tooOld(milliseconds: time - number) }
        if heard[sender] == nil, heard.count >= Self.senderLimit { heard = [:] }
        heard[sender] = number
        return (sender, Array(plain[24...]))
    }
}
