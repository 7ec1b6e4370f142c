package import Primitives

/// The word to devices that a newer ring puts out: all that they get of it.
///
/// It travels like a ring without keys. A device that is off meanwhile never hears it.
package struct Farewell: Equatable, Sendable {
    /// The ring's that puts them out.
    package let version: UInt64
    /// Sorted; never empty.
    package let removed: [NodeID]

    /// Nil unless there are devices, within the limit of a ring.
    package init?(version: UInt64, removed: [NodeID]) {
        guard 1...KeyRing.removedLimit ~= removed.count else { return nil }
        self.version = version
        self.removed = removed.sorted()
    }

    package func encoded() -> [UInt8] {
        var bytes: [UInt8] = [1]
        bytes.append(bigEndian: version)
        bytes.append(0)
        bytes.append(bigEndian: UInt16(removed.count))
        for node in removed { bytes.append(bigEndian: node.rawValue) }
        return bytes
    }

    private static let headByteCount = 12

    /// Nil if it is something else, a ring for example.
    package init?(decoding bytes: [UInt8]) {
        guard bytes.count > Self.headByteCount, bytes[0] == 1, bytes[9] == 0 else { return nil }
        let nodes = bytes.dropFirst(Self.headByteCount)
        let count: UInt16 = SealedHeader.integer(bytes[10..<Self.headByteCount])
        guard nodes.count == Int(count) * NodeID.byteCount else { return nil }
        let removed = stride(from: nodes.startIndex, to: nodes.endIndex, by: NodeID.byteCount).map {
            NodeID(SealedHeader.integer(nodes[$0..<($0 + NodeID.byteCount)]))
        }
        // One form of each, as of rings: in order, and none twice.
        guard zip(removed, removed.dropFirst()).allSatisfy({ $0 < $1 }) else { return nil }
        self.init(version: SealedHeader.integer(bytes[1..<9]), removed: removed)
    }
}
