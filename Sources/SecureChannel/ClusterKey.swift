internal import Crypto
internal import FoundationEssentials
internal import Primitives

/// The 256 bits that every device of a cluster has and nobody else: who has them may take part.
package struct ClusterKey: Hashable, Sendable {
    package static let byteCount = 32

    package let bytes: [UInt8]

    /// Nil unless there are 32 bytes.
    package init?(bytes: [UInt8]) {
        guard bytes.count == Self.byteCount else { return nil }
        self.bytes = bytes
    }

    /// A fresh one, from the system's source of randomness.
    package static func random() -> ClusterKey {
        var generator = SystemRandomNumberGenerator()
        var bytes: [UInt8] = []
        for _ in 0..<byteCount / 8 { bytes.append(littleEndian: generator.next() as UInt64) }
        return ClusterKey(whole: bytes)
    }

    private init(whole bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// Names the key without telling it: receivers find the key that a sender used.
    package var id: UInt32 {
        derived(for: "key id", byteCount: 4).reduce(0) { $0 << 8 | UInt32($1) }
    }

    /// The pre-shared key of handshakes in a cluster of this name.
    func handshakeKey(cluster: String) -> [UInt8] {
        derived(for: "handshake " + cluster, byteCount: Self.byteCount)
    }

    /// The key of beacons in a cluster of this name.
    func beaconKey(cluster: String) -> [UInt8] {
        derived(for: "beacon " + cluster, byteCount: Self.byteCount)
    }

    /// HKDF-SHA-256, so that no two uses share a key.
    private func derived(for use: String, byteCount: Int) -> [UInt8] {
        let extracted = HKDF<SHA256>.extract(
            inputKeyMaterial: SymmetricKey(data: bytes),
            salt: Array("caravan cluster key 1".utf8)
        )
        // One block of HKDF-Expand (RFC 5869 §2.3) is enough for up to 32 bytes.
        let block = HMAC<SHA256>.authenticationCode(
            for: Array(use.utf8) + [1],
            using: SymmetricKey(data: extracted)
        )
        return Array([UInt8](block).prefix(byteCount))
    }
}

extension ClusterKey: CustomStringConvertible {
    /// Never the key itself, which must not get into a log.
    package var description: String {
        let digits = String(id, radix: 16)
        return "key " + String(repeating: "0", count: 8 - digits.count) + digits
    }
}
