import Primitives

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
        bytes.removeAll(keepingCapacity: true)
        header.encode(into: &bytes)
        for message in messages {
            let start = bytes.count
            bytes.append(bigEndian: 0 as UInt16)
            message.encode(into: &bytes)
            let length = UInt16(bytes.count - start - 2)
            bytes[start] = UInt8(length >> 8)
            bytes[start + 1] = UInt8(length & 0xFF)
        }
    }

    /// Reads a whole datagram of the given cluster, or refuses it whole.
    package init(decoding bytes: Span<UInt8>, cluster: UInt64) throws(WireError) {
        var offset = 0
        header = try WireHeader(decoding: bytes, at: &offset)
        guard header.cluster == cluster else { throw .otherCluster(header.cluster) }
        messages = []
        while offset < bytes.count {
            var reader = WireReader(offset: offset)
            let length = Int(try reader.integer(bytes, UInt16.self))
            guard length > 0 else { throw .badValue(field: "length", value: 0) }
            guard length <= bytes.count - reader.offset else {
                throw .truncated(needed: length, available: bytes.count - reader.offset)
            }
            let end = reader.offset + length
            if let message = try Message(decoding: bytes.extracting(reader.offset..<end)) {
                messages.append(message)
            } else {
                unknownCount += 1
            }
            offset = end
        }
    }
}
