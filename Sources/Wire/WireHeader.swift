package import Primitives

/// What every datagram and every stream begins with (Protocols/frame.md).
package struct WireHeader: Equatable, Sendable {
    package static let byteCount = 28
    package static let magic: UInt16 = 0xCA5A
    package static let version: UInt8 = 1

    /// FNV-1a-64 of the cluster's name: clusters on one network do not mix.
    package var cluster: UInt64
    package var sender: NodeID

    package init(cluster: UInt64, sender: NodeID) {
        self.cluster = cluster
        self.sender = sender
    }

    /// The tag of a cluster's name.
    package static func tag(ofCluster name: String) -> UInt64 {
        DeviceFacts.fingerprint(ofModel: name)
    }

    package func encode(into bytes: inout [UInt8]) {
        bytes.append(bigEndian: Self.magic)
        bytes.append(Self.version)
        // Flags: none yet. A receiver ignores those that it does not know.
        bytes.append(0)
        bytes.append(bigEndian: cluster)
        bytes.append(sender)
    }

    package init(decoding bytes: Span<UInt8>, at offset: inout Int) throws(WireError) {
        var reader = WireReader(offset: offset)
        let magic: UInt16 = try reader.integer(bytes)
        guard magic == Self.magic else { throw .badMagic(magic) }
        let version: UInt8 = try reader.integer(bytes)
        guard version == Self.version else {
            throw .unsupportedVersion(version, supported: Self.version)
        }
        _ = try reader.integer(bytes, UInt8.self)
        cluster = try reader.integer(bytes)
        sender = try reader.node(bytes)
        offset = reader.offset
    }
}
