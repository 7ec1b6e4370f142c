package import NIOCore

/// Cuts a stream of server-sent events into runs of whole events.
///
/// So that an error event can follow at any moment without ending up inside half an event. An
/// event arrives from llama-server in one piece, so almost nothing is ever held back.
package struct EventStreamFramer {
    /// An event longer than this, in bytes, is passed on in pieces.
    static let heldByteLimit = 64 << 10

    /// Whether the stream said itself that it is complete (`data: [DONE]`).
    private(set) var isDone = false
    private var held = ByteBuffer()

    package init() {}

    /// Takes what arrived; returns what can be passed on, if anything.
    package mutating func append(_ arrived: ByteBuffer) -> ByteBuffer? {
        if held.readableBytes == 0 {
            held = arrived
        } else {
            held.writeImmutableBuffer(arrived)
        }
        let end = Self.endOfEvents(in: held.readableBytesView)
        let byteCount =
            end > 0 || held.readableBytes <= Self.heldByteLimit
            ? end : held.readableBytes
        guard byteCount > 0, let whole = held.readSlice(length: byteCount) else { return nil }
        if held.readableBytes == 0 { held = ByteBuffer() }
        isDone = isDone || Self.endsWithDone(whole.readableBytesView)
        return whole
    }

    /// The number of bytes up to the last blank line, that line included.
    private static func endOfEvents(in bytes: ByteBufferView) -> Int {
        let newline = UInt8(ascii: "\n")
        let carriageReturn = UInt8(ascii: "\r")
        var end = bytes.endIndex
        while end > bytes.startIndex {
            let last = end - 1
            if bytes[last] == newline {
                var before = last - 1
                if before >= bytes.startIndex, bytes[before] == carriageReturn { before -= 1 }
                if before >= bytes.startIndex, bytes[before] == newline {
                    return end - bytes.startIndex
                }
            }
            end = last
        }
        return 0
    }

    private static func endsWithDone(_ bytes: ByteBufferView) -> Bool {
        let end = bytes.lastIndex { !($0 == UInt8(ascii: "\n") || $0 == UInt8(ascii: "\r")) }
        guard let end else { return false }
        return bytes[...end].suffix(6).elementsEqual("[DONE]".utf8)
    }
}
