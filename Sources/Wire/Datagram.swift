import Primitives
package import SWIM

/// A header and one or more length-prefixed messages (Protocols/frame.md).
package struct Datagram: Equatable, Sendable {
    /// No datagram is sent larger, so that none is fragmented.
    package static let byteLimit = 1400

    package var header: WireHeader
    package var messages: [Message]
    /// Messages of kinds that a newer version added; they were passed over.
    package var unknownCount = 0

    package init(header: WireHeader, messages: [Message]) {
        self.header = header
        self.messages = messages
    }

    /// Replaces the content of a buffer that is used again and again.
    package func encode(into bytes: inout [UInt8]) {
        Self.begin(header, in: &bytes)
        for message in messages { Self.append(message, to: &bytes) }
    }

    /// Replaces the content of a buffer by a datagram without messages.
    package static func begin(_ header: WireHeader, in bytes: inout [UInt8]) {
        bytes.removeAll(keepingCapacity: true)
        header.encode(into: &bytes)
    }

    /// Appends a message to a datagram that was begun.
    package static func append(_ message: Message, to bytes: inout [UInt8]) {
        append(to: &bytes) { bytes in message.encode(into: &bytes) }
    }

    /// Appends a piece of gossip to a datagram that was begun.
    package static func append(_ message: GossipMessage, to bytes: inout [UInt8]) {
        append(to: &bytes) { bytes in message.encode(into: &bytes) }
    }

    private static func append(to bytes: inout [UInt8], _ encode: (inout [UInt8]) -> Void) {
        let start = bytes.count
        bytes.append(bigEndian: 0 as UInt16)
        encode(&bytes)
        let length = UInt16(bytes.count - start - 2)
        bytes[start] = UInt8(length >> 8)
        bytes[start + 1] = UInt8(length & 0xFF)
    }

    /// Reads a whole datagram of the given cluster, or refuses it whole.
    ///
    /// - Parameter facts: what devices were heard to say before, to be read faster.
    package init(
        decoding bytes: Span<UInt8>,
        cluster: UInt64,
        facts: FactsCache? = nil
    ) throws(WireError) {
        header = WireHeader(cluster: cluster, sender: NodeID(high: 0, low: 0))
        messages = []
        try read(bytes, cluster: cluster, facts: facts)
    }

    fileprivate mutating func read(
        _ bytes: Span<UInt8>,
        cluster: UInt64,
        facts: FactsCache?
    ) throws(WireError) {
        messages.removeAll(keepingCapacity: true)
        unknownCount = 0
        var offset = 0
        header = try WireHeader(decoding: bytes, at: &offset)
        guard header.cluster == cluster else { throw .otherCluster(header.cluster) }
        while offset < bytes.count {
            var reader = WireReader(offset: offset)
            let length = Int(try reader.integer(bytes, UInt16.self))
            guard length > 0 else { throw .badValue(field: "length", value: 0) }
            guard length <= bytes.count - reader.offset else {
                throw .truncated(needed: length, available: bytes.count - reader.offset)
            }
            let end = reader.offset + length
            let piece = bytes.extracting(reader.offset..<end)
            if let message = try Message(decoding: piece, facts: facts) {
                messages.append(message)
            } else {
                unknownCount += 1
            }
            offset = end
        }
    }
}

/// Reads one datagram after the other with as little memory as one takes.
///
/// Used on the loop only, which is why it is Sendable unchecked.
package final class DatagramReader: @unchecked Sendable {
    private let cluster: UInt64
    private let facts: FactsCache
    private var datagram: Datagram

    package init(cluster: UInt64, facts: FactsCache) {
        self.cluster = cluster
        self.facts = facts
        let nobody = NodeID(high: 0, low: 0)
        datagram = Datagram(header: WireHeader(cluster: cluster, sender: nobody), messages: [])
    }

    /// Reads a whole datagram of the cluster, or refuses it whole.
    package func read(_ bytes: Span<UInt8>) throws(WireError) -> Datagram {
        try datagram.read(bytes, cluster: cluster, facts: facts)
        return datagram
    }
}
