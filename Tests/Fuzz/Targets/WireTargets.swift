import Primitives
import Wire

// What arrives from other agents, or from whoever says to be one.
extension FuzzTarget {
    static let wire: [FuzzTarget] = [
        FuzzTarget("datagram", "a datagram, as it comes from the network") { bytes in
            guard var datagram = try? Datagram(decoding: bytes.span, cluster: cluster) else {
                return
            }
            // What was not understood is not sent on.
            datagram.unknownCount = 0
            var encoded: [UInt8] = []
            datagram.encode(into: &encoded)
            let again = try? Datagram(decoding: encoded.span, cluster: cluster)
            try expect(again == datagram, "what was read is written as something else")
        },
        FuzzTarget("message", "one message of a datagram: its kind and fields") { bytes in
            guard !bytes.isEmpty, bytes.count <= Int(UInt16.max),
                let message = message(bytes)
            else { return }
            var encoded: [UInt8] = []
            Datagram(header: header, messages: [message]).encode(into: &encoded)
            let again = try? Datagram(decoding: encoded.span, cluster: cluster)
            try expect(again?.messages == [message], "what was read is written as another")
        },
        FuzzTarget("stream", "a stream from another agent; the first byte cuts it up") { bytes in
            let whole = read([Array(bytes.dropFirst())])
            let cut = read(bytes.pieces)
            try expect(
                whole.frames == cut.frames && whole.error == cut.error,
                "the pieces in which a stream arrives change what it says"
            )
            try expect(
                whole.error == nil || whole.unreadByteCount == 0,
                "a refused stream keeps \(whole.unreadByteCount) bytes"
            )
        },
        FuzzTarget("frame", "one frame of a stream, without its length") { bytes in
            guard let frame = try? Frame(decoding: bytes.span) else { return }
            let encoded = Array(frame.encoded.dropFirst(4))
            let again = try? Frame(decoding: encoded.span)
            try expect(again == frame, "what was read is written as another")
        },
    ]

    private static let cluster = WireHeader.tag(ofCluster: "caravan")
    private static let header = WireHeader(cluster: cluster, sender: NodeID(1))

    private static func message(_ bytes: [UInt8]) -> Message? {
        var datagram: [UInt8] = []
        header.encode(into: &datagram)
        datagram.append(bigEndian: UInt16(bytes.count))
        datagram += bytes
        return (try? Datagram(decoding: datagram.span, cluster: cluster))?.messages.first
    }

    private static func read(
        _ pieces: [[UInt8]]
    ) -> (frames: [Frame], error: WireError?, unreadByteCount: Int) {
        var reader = FrameReader()
        var frames: [Frame] = []
        for piece in pieces {
            reader.append(piece)
            do throws(WireError) {
                while let frame = try reader.next(cluster: cluster) { frames.append(frame) }
            } catch {
                return (frames, error, reader.unreadByteCount)
            }
        }
        return (frames, nil, reader.unreadByteCount)
    }
}
