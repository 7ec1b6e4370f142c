internal import Primitives

/// The records of a sealed stream: each has two bytes of length, and at most 64 KiB.
///
/// An empty record is the end: a stream that ends without one was cut.
package struct RecordLayer: Sendable {
    /// How much one record carries.
    package static let plainByteLimit = NoiseHandshake.messageByteLimit - NoiseCipher.tagByteCount
    /// How much we put into one.
    ///
    /// Sealing makes copies of what it seals; small ones come from memory that is at hand, and
    /// large ones from the system, page by page (measured: twice the time).
    package static let sealedByteLimit = 1 << 14
    package static let overhead = 2 + NoiseCipher.tagByteCount

    private var sending: NoiseCipher
    private var receiving: NoiseCipher
    /// Less than one record that is not whole yet.
    private var unread: [UInt8] = []
    package private(set) var hasEnded = false
    private var hasSentEnd = false

    init(_ channel: NoiseChannel) {
        sending = channel.sending
        receiving = channel.receiving
    }

    /// How much of a record waits for its rest.
    package var unreadByteCount: Int { unread.count }

    /// Appends as many records as the bytes need.
    package mutating func seal(
        _ bytes: ArraySlice<UInt8>,
        into sealed: inout [UInt8]
    ) throws(SecureChannelError) {
        guard !hasSentEnd else { throw .outOfOrder }
        var rest = bytes
        while !rest.isEmpty {
            let part = rest.prefix(Self.sealedByteLimit)
            try append(part, &sealed)
            rest = rest.dropFirst(part.count)
        }
    }

    /// Appends the end, once.
    package mutating func end(into sealed: inout [UInt8]) throws(SecureChannelError) {
        guard !hasSentEnd else { return }
        try append([], &sealed)
        hasSentEnd = true
    }

    private mutating func append(
        _ plain: ArraySlice<UInt8>,
        _ sealed: inout [UInt8]
    ) throws(SecureChannelError) {
        sealed.append(bigEndian: UInt16(plain.count + NoiseCipher.tagByteCount))
        try sending.seal(plain, into: &sealed)
    }

    /// Takes what arrived, and appends what the whole records carried.
    ///
    /// After an error the stream is of no use any more.
    package mutating func receive(
        _ bytes: ArraySlice<UInt8>,
        into plain: inout [UInt8]
    ) throws(SecureChannelError) {
        var rest = bytes
        if !unread.isEmpty {
            try completeRecord(&rest, &plain)
        }
        while let end = try Self.end(of: rest) {
            try take(rest[(rest.startIndex + 2)..<end], &plain)
            rest = rest[end...]
        }
        if !rest.isEmpty { unread += rest }
    }

    /// Moves only as much as the record that waits still lacks: what follows is opened in place.
    private mutating func completeRecord(
        _ rest: inout ArraySlice<UInt8>,
        _ plain: inout [UInt8]
    ) throws(SecureChannelError) {
        while unread.count < 2, let byte = rest.first {
            unread.append(byte)
            rest = rest.dropFirst()
        }
        guard unread.count >= 2 else { return }
        let needed = 2 + (Int(unread[0]) << 8 | Int(unread[1]))
        guard needed >= Self.overhead else {
            throw .truncated(needed: NoiseCipher.tagByteCount, available: needed - 2)
        }
        let part = rest.prefix(needed - unread.count)
        unread += part
        rest = rest.dropFirst(part.count)
        guard unread.count == needed else { return }
        let record = unread
        unread = []
        try take(record[2...], &plain)
    }

    /// Where the first record ends; nil while it is not whole.
    private static func end(of bytes: ArraySlice<UInt8>) throws(SecureChannelError) -> Int? {
        guard bytes.count >= 2 else { return nil }
        let start = bytes.startIndex
        let count = Int(bytes[start]) << 8 | Int(bytes[start + 1])
        guard count >= NoiseCipher.tagByteCount else {
            throw .truncated(needed: NoiseCipher.tagByteCount, available: count)
        }
        return bytes.count >= 2 + count ? start + 2 + count : nil
    }

    private mutating func take(
        _ record: ArraySlice<UInt8>,
        _ plain: inout [UInt8]
    ) throws(SecureChannelError) {
        // Nothing may follow the end.
        guard !hasEnded else { throw .outOfOrder }
        try receiving.open(record, into: &plain)
        if record.count == NoiseCipher.tagByteCount { hasEnded = true }
    }
}
