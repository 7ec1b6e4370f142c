import Primitives
import Wire

/// The codec by layer, so that one test covers messages, frames, datagrams and streams.
enum Coding {
    static let cluster = WireHeader.tag(ofCluster: "caravan")
    static let header = WireHeader(
        cluster: cluster,
        sender: NodeID(0xA0A1_A2A3_A4A5_A6A7_A8A9_AAAB_ACAD_AEAF)
    )

    static var headerBytes: [UInt8] {
        var bytes: [UInt8] = []
        header.encode(into: &bytes)
        return bytes
    }

    static func datagram(_ bytes: [UInt8]) throws(WireError) -> Datagram {
        try Datagram(decoding: bytes.span, cluster: cluster)
    }

    /// Reads a message as the only one of a datagram; nil if its kind is unknown.
    static func message(_ bytes: [UInt8]) throws(WireError) -> Message? {
        var whole = headerBytes
        whole.append(bigEndian: UInt16(bytes.count))
        return try datagram(whole + bytes).messages.first
    }

    static func encoded(_ datagram: Datagram) -> [UInt8] {
        var bytes: [UInt8] = [1, 2, 3]
        datagram.encode(into: &bytes)
        return bytes
    }

    /// Kind and fields, without the length.
    static func encoded(_ message: Message) -> [UInt8] {
        let datagram = encoded(Datagram(header: header, messages: [message]))
        return Array(datagram.dropFirst(WireHeader.byteCount + 2))
    }

    /// Kind and fields, without the length.
    static func encoded(_ frame: Frame) -> [UInt8] {
        Array(frame.encoded.dropFirst(4))
    }

    /// What a stream gives when it arrives in the given pieces.
    static func read(
        _ pieces: [[UInt8]]
    ) -> (frames: [Frame], reader: FrameReader, error: WireError?) {
        var reader = FrameReader()
        var frames: [Frame] = []
        for piece in pieces {
            reader.append(piece)
            do throws(WireError) {
                while let frame = try reader.next(cluster: cluster) { frames.append(frame) }
            } catch {
                return (frames, reader, error)
            }
        }
        return (frames, reader, nil)
    }

    /// Decodes whatever the layer asks for and throws everything away but the error.
    static func decode(_ bytes: [UInt8], as layer: Vector.Layer) throws(WireError) {
        switch layer {
        case .datagram: _ = try datagram(bytes)
        case .message where bytes.isEmpty:
            // A length of 0 is refused before the message is looked at.
            throw .truncated(needed: 1, available: 0)
        case .message: _ = try message(bytes)
        case .frame: _ = try Frame(decoding: bytes.span)
        case .stream:
            if let error = read([bytes]).error { throw error }
        }
    }
}
