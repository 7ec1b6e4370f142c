/// Cuts a stream into its header and its frames, whatever the pieces in which bytes arrive.
package struct FrameReader: Sendable {
    private var buffer: [UInt8] = []
    /// Where in the buffer unread bytes begin.
    ///
    /// Read ones are dropped when more arrive: dropping them after each frame would move
    /// everything behind a small frame again and again.
    private var start = 0
    private var failure: WireError?
    package private(set) var header: WireHeader?
    /// Frames of kinds that a newer version added; they were passed over.
    package private(set) var unknownCount = 0

    private let facts: FactsCache?

    /// - Parameter facts: what devices were heard to say before, to be read faster.
    package init(facts: FactsCache? = nil) {
        self.facts = facts
    }

    /// How much has arrived and was not read yet.
    ///
    /// Once `next` has given nil, less than a frame with its length prefix.
    package var unreadByteCount: Int { buffer.count - start }

    /// Takes what arrived; ignored once the stream was refused.
    package mutating func append(_ bytes: [UInt8]) {
        guard failure == nil else { return }
        if start > 0 {
            buffer.removeFirst(start)
            start = 0
        }
        buffer += bytes
    }

    /// The next whole frame; nil while bytes are missing.
    ///
    /// An error ends the stream, because what follows cannot be found: every later call throws it
    /// again.
    package mutating func next(cluster: UInt64) throws(WireError) -> Frame? {
        if let failure { throw failure }
        do throws(WireError) {
            guard try readHeader(cluster: cluster) else { return nil }
            return try readFrame()
        } catch {
            failure = error
            buffer = []
            start = 0
            throw error
        }
    }

    /// Whether the header has been read.
    private mutating func readHeader(cluster: UInt64) throws(WireError) -> Bool {
        if header != nil { return true }
        guard unreadByteCount >= WireHeader.byteCount else {
            try checkBeginning()
            return false
        }
        var offset = start
        let header = try WireHeader(decoding: buffer.span, at: &offset)
        guard header.cluster == cluster else { throw .otherCluster(header.cluster) }
        self.header = header
        start = offset
        return true
    }

    /// Refuses a stranger by its first two bytes, rather than wait for the rest.
    private func checkBeginning() throws(WireError) {
        var reader = WireReader(offset: start)
        guard unreadByteCount >= 2 else { return }
        let magic: UInt16 = try reader.integer(buffer.span)
        guard magic == WireHeader.magic else { throw .badMagic(magic) }
    }

    private mutating func readFrame() throws(WireError) -> Frame? {
        while unreadByteCount >= 4 {
            var reader = WireReader(offset: start)
            let length: UInt32 = try reader.integer(buffer.span)
            guard length > 0 else { throw .badValue(field: "length", value: 0) }
            guard length <= Frame.byteLimit else {
                throw .frameTooLong(byteCount: length, limit: Frame.byteLimit)
            }
            let end = reader.offset + Int(length)
            guard buffer.count >= end else { return nil }
            let frame = try Frame(
                decoding: buffer.span.extracting(reader.offset..<end),
                facts: facts
            )
            start = end
            if let frame { return frame }
            unknownCount += 1
        }
        return nil
    }

    /// What was read beyond the last frame, when the stream carries something else from here on.
    package mutating func takeRest() -> [UInt8] {
        defer {
            buffer = []
            start = 0
        }
        return [UInt8](buffer[start...])
    }
}
