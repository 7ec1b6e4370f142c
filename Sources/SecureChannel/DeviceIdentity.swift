internal import Crypto
internal import FoundationEssentials
package import Primitives

/// The key pair that a device has for life; whoever holds the private half is the device.
package struct DeviceIdentity: Sendable {
    let privateKey: Curve25519.KeyAgreement.PrivateKey

    /// A fresh one.
    package init() {
        privateKey = Curve25519.KeyAgreement.PrivateKey()
    }

    /// - Parameter secret: 32 bytes that were kept; nil if they are no key.
    package init?(secret: [UInt8]) {
        guard secret.count == NoiseHandshake.keyByteCount,
            let key = try? Curve25519.KeyAgreement.PrivateKey(rawRepresentation: secret)
        else { return nil }
        privateKey = key
    }

    /// What must be kept, and kept secret.
    package var secret: [UInt8] { [UInt8](privateKey.rawRepresentation) }
    package var publicKey: [UInt8] { [UInt8](privateKey.publicKey.rawRepresentation) }

    package var node: NodeID { Self.node(of: publicKey) }

    /// The identity that belongs to a public key: the first 16 bytes of a hash, so that no other
    /// key with the same node can be found.
    package static func node(of publicKey: [UInt8]) -> NodeID {
        let hash = SHA256.hash(data: Array("caravan node 1".utf8) + publicKey)
        return NodeID(hash.prefix(NodeID.byteCount).reduce(0 as UInt128) { $0 << 8 | UInt128($1) })
    }
}
