internal import Primitives

/// What stands before a payload.
package enum RPCHeader: Equatable, Sendable {
    case request(command: UInt8, payloadByteCount: UInt64)
    case reply(payloadByteCount: UInt64)

    package var payloadByteCount: UInt64 {
        switch self {
        case .request(_, let byteCount), .reply(let byteCount): byteCount
        }
    }

    /// Appends the header as it travels.
    package func encode(into bytes: inout [UInt8]) {
        if case .request(let command, _) = self { bytes.append(command) }
        bytes.append(littleEndian: payloadByteCount)
    }
}

/// Why a stream cannot be one of llama.cpp's RPC.
package enum RPCFramingError: Error, Equatable {
    /// No device holds that much.
    case payloadTooLong(UInt64, limit: UInt64)
    /// The server speaks though nothing was asked.
    case unaskedReply(byteCount: UInt64)
}

/// One side of an RPC connection.
package enum RPCFrameKind: CaseIterable, Sendable {
    /// What a client says: command, length, payload.
    case requests
    /// What a server says: length, payload.
    case replies

    package var headerByteCount: Int {
        switch self {
        case .requests: 9
        case .replies: 8
        }
    }
}

/// Takes one side of an RPC connection apart, in whatever pieces it arrives.
///
/// A payload is never kept: it may be a tensor of gigabytes. What is kept is a header that has
/// not arrived whole, and a payload's first bytes while somebody has asked for them with
/// `collect`.
package struct RPCFrameReader: Sendable {
    package enum Event: Equatable, Sendable {
        case begins(RPCHeader)
        /// The payload's first bytes, as many as were asked for, or all that it has.
        case prefix([UInt8])
        /// What follows in the payload, as it arrived.
        case payload(ArraySlice<UInt8>)
        case ends
    }

    package static let payloadByteLimit: UInt64 = 1 << 46
    /// The longest request of a fixed layout, GET_ALLOC_SIZE, has 3,260 bytes.
    package static let prefixByteLimit = 4096

    private enum State: Sendable {
        case header
        /// The prefix is being collected until `kept` has so many bytes.
        case prefix(byteCount: Int)
        case payload
        case refused(RPCFramingError)
    }

    package let kind: RPCFrameKind
    private var state = State.header
    /// Of a header or a prefix that is not whole yet.
    private var kept: [UInt8] = []
    /// Of the payload, what has not been handed out or kept.
    private var remaining: UInt64 = 0

    package init(_ kind: RPCFrameKind) {
        self.kind = kind
    }

    /// Whether a message has begun that has not ended.
    package var isAmidMessage: Bool {
        if case .header = state { !kept.isEmpty } else { true }
    }

    /// Asks for the first bytes of the payload in one piece; to be called right after `begins`.
    package mutating func collect(prefixByteCount: Int) {
        guard case .payload = state, kept.isEmpty else { return }
        let byteCount = min(UInt64(max(0, prefixByteCount)), UInt64(Self.prefixByteLimit))
        state = .prefix(byteCount: Int(min(byteCount, remaining)))
    }

    /// Goes on as if so many bytes of the payload had passed; false, and nothing changes, if it
    /// has not that many to come.
    package mutating func skip(payloadByteCount: Int) -> Bool {
        guard case .payload = state, payloadByteCount >= 0, remaining >= UInt64(payloadByteCount)
        else { return false }
        remaining -= UInt64(payloadByteCount)
        return true
    }

    /// The next thing that the bytes say, and removes them from the front; nil when all of them
    /// are used up.
    ///
    /// After an error the stream is to be closed; every further call throws the same one.
    package mutating func next(
        _ bytes: inout ArraySlice<UInt8>
    ) throws(RPCFramingError) -> Event? {
        switch state {
        case .refused(let error): throw error
        case .header: return try readHeader(&bytes)
        case .prefix(let byteCount):
            guard let prefix = take(byteCount, from: &bytes) else { return nil }
            state = .payload
            remaining -= UInt64(byteCount)
            return .prefix(prefix)
        case .payload:
            if remaining == 0 {
                state = .header
                return .ends
            }
            guard !bytes.isEmpty else { return nil }
            let count = Int(min(remaining, UInt64(bytes.count)))
            let slice = bytes.prefix(count)
            bytes = bytes.dropFirst(count)
            remaining -= UInt64(count)
            return .payload(slice)
        }
    }

    private mutating func readHeader(
        _ bytes: inout ArraySlice<UInt8>
    ) throws(RPCFramingError) -> Event? {
        guard let header = take(kind.headerByteCount, from: &bytes) else { return nil }
        var offset = kind.headerByteCount - 8
        let byteCount = (try? header.span.readLittleEndian(UInt64.self, at: &offset)) ?? 0
        guard byteCount <= Self.payloadByteLimit else {
            let error = RPCFramingError.payloadTooLong(byteCount, limit: Self.payloadByteLimit)
            state = .refused(error)
            throw error
        }
        state = .payload
        remaining = byteCount
        switch kind {
        case .requests:
            return .begins(.request(command: header[0], payloadByteCount: byteCount))
        case .replies: return .begins(.reply(payloadByteCount: byteCount))
        }
    }

    /// So many bytes in one piece; nil, and all is kept, while some are missing.
    private mutating func take(
        _ byteCount: Int,
        from bytes: inout ArraySlice<UInt8>
    ) -> [UInt8]? {
        let missing = bytes.prefix(byteCount - kept.count)
        bytes = bytes.dropFirst(missing.count)
        kept += missing
        guard kept.count == byteCount else { return nil }
        defer { kept = [] }
        return kept
    }
}
