package import Primitives

/// Seals beacons, which go to whoever is near: with a key of the whole cluster.
///
/// A beacon only tells where a device may be asked. Each is taken once, in the order of its
/// sender's clock; one that was recorded before this device was started is taken once more, and
/// leads to a handshake that nobody completes.
package struct BeaconSeal: Sendable {
    package static let senderLimit = 1024
    private static let nonceByteCount = 12
    /// Header, nonce, sender, time and tag.
    package static let overhead =
        SealedHeader.byteCount + nonceByteCount + 16 + 8 + NoiseCipher.tagByteCount

    private let own: NodeID
    private var keys: CurrentKeys
    private var lastTime: UInt64 = 0
    private var heard: [NodeID: UInt64] = [:]

    package init(own: NodeID, keys: CurrentKeys) {
        self.own = own
        self.keys = keys
    }

    package mutating func use(_ keys: CurrentKeys) {
        self.keys = keys
    }

    /// - Parameter time: wall-clock milliseconds; times that were used already are counted on.
    package mutating func seal(_ message: [UInt8], time: UInt64) -> [UInt8] {
        lastTime = max(lastTime &+ 1, time)
        var generator = SystemRandomNumberGenerator()
        var bytes = SealedHeader.bytes(DatagramSessions.Kind.beacon.rawValue, keys.sealing.id)
        var nonce: [UInt8] = []
        nonce.append(bigEndian: generator.next() as UInt64)
        nonce.append(bigEndian: generator.next() as UInt32)
        bytes += nonce
        var plain: [UInt8] = []
        plain.append(bigEndian: own.rawValue)
        plain.append(bigEndian: lastTime)
        plain += message
        let header = bytes[...]
        guard
            (try? BeaconCipher.seal(plain[...], keys.sealing.beacon, nonce, header, into: &bytes))
                != nil
        else { return [] }
        return bytes
    }

    /// Opens a beacon, and gives its sender and what it says.
    package mutating func open(
        _ datagram: [UInt8]
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
        let time: UInt64 = SealedHeader.integer(plain[16..<24])
        if sender != own, let newest = heard[sender] {
            guard time != newest else { throw .repeated }
            guard time > newest else { throw .replayed }
        }
        if heard[sender] == nil, heard.count >= Self.senderLimit { heard = [:] }
        heard[sender] = time
        return (sender, Array(plain[24...]))
    }
}
