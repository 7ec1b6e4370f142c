import Crypto
import Primitives

/// What sealed datagrams and streams begin with (Protocols/secure-channel.md).
enum SealedHeader {
    static let magic: UInt16 = 0xCA5E
    static let version: UInt8 = 1
    static let byteCount = 8

    static func bytes(_ kind: UInt8, _ word: UInt32) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(bigEndian: magic)
        bytes.append(version)
        bytes.append(kind)
        bytes.append(bigEndian: word)
        return bytes
    }

    /// The kind (or, of a stream, the suite), unchecked, and the key or session that it is about.
    static func read(
        _ bytes: ArraySlice<UInt8>
    ) throws(SecureChannelError) -> (kind: UInt8, word: UInt32) {
        // Strangers are told by their first bytes.
        if bytes.count >= 2 {
            let magic = UInt16(bytes[bytes.startIndex]) << 8 | UInt16(bytes[bytes.startIndex + 1])
            guard magic == Self.magic else { throw .badMagic(magic) }
        }
        guard bytes.count >= byteCount else {
            throw .truncated(needed: byteCount, available: bytes.count)
        }
        let start = bytes.startIndex
        guard bytes[start + 2] == version else {
            throw .unsupportedVersion(bytes[start + 2], supported: version)
        }
        return (bytes[start + 3], integer(bytes[(start + 4)..<(start + byteCount)]))
    }

    /// A big-endian integer of all the bytes.
    static func integer<Value: FixedWidthInteger & UnsignedInteger>(
        _ bytes: ArraySlice<UInt8>
    ) -> Value {
        bytes.reduce(0) { $0 << 8 | Value($1) }
    }
}

/// What both sides of a handshake must agree on before its first message.
enum Prologue {
    static func bytes(of use: String, key: UInt32) -> [UInt8] {
        var bytes = Array("caravan \(use) 1".utf8)
        bytes.append(bigEndian: key)
        return bytes
    }
}

extension NoiseHandshake {
    /// The handshake of this protocol: XX with the cluster's key before the first message, so that
    /// whoever has no key is not answered and costs no curve operation, and after the third, as
    /// the framework recommends.
    static func ours(
        _ role: Role,
        _ use: String,
        suite: NoiseSuite,
        key: WorkingKey,
        identity: DeviceIdentity,
        ephemeral: Curve25519.KeyAgreement.PrivateKey = .init()
    ) -> NoiseHandshake {
        NoiseHandshake(
            role,
            suite: suite,
            presharedKeys: [key.handshake, key.handshake],
            at: [0, 3],
            prologue: Prologue.bytes(of: use, key: key.id),
            identity: identity,
            ephemeral: ephemeral
        )
    }
}
