internal import Primitives

/// Where a buffer of an RPC server begins: its answer to BUFFER_GET_BASE, which never changes.
package struct RPCBufferBase: Equatable, Sendable {
    /// As the server calls it.
    package var buffer: UInt64
    package var base: UInt64

    package init(buffer: UInt64, base: UInt64) {
        self.buffer = buffer
        self.base = base
    }

    /// How long the payload of a request is that names a buffer.
    package static let questionByteCount = 8
    package static let answerByteCount = 8
}

/// Asks an RPC server where a buffer begins, right beside it, as soon as there is one.
///
/// Every client asks that next, perhaps from far away. So the answer to ALLOC_BUFFER is held back
/// until the one to BUFFER_GET_BASE can travel before it; both take microseconds here.
package struct RPCBasesAhead: Sendable {
    private var dialogue = RPCDialogue()
    private var state = State.passes
    /// The payload of the answer to ALLOC_BUFFER that is passing.
    private var allocation: [UInt8] = []

    private enum State {
        case passes
        case allocation
        /// The server was asked; this answer to ALLOC_BUFFER waits.
        case asked(buffer: UInt64, held: [UInt8])
    }

    /// The answer to ALLOC_BUFFER: u64 buffer, 0 if there is no room, and u64 size.
    private static let allocationByteCount = 16

    package init() {}

    /// Takes what goes to the server of the client's; what `receive` asks is known already.
    package mutating func send(_ bytes: ArraySlice<UInt8>) throws(RPCFramingError) {
        var rest = bytes
        while try dialogue.nextRequest(&rest) != nil {}
    }

    /// Takes what the server says, and appends what of it goes to the client, what the server is
    /// to be asked, and what was learned.
    package mutating func receive(
        _ bytes: ArraySlice<UInt8>,
        replies: inout [UInt8],
        question: inout [UInt8],
        bases: inout [RPCBufferBase]
    ) throws(RPCFramingError) {
        var rest = bytes
        while let event = try dialogue.nextReply(&rest) {
            switch event {
            case .begins(let header): begin(header, &replies)
            case .prefix(let payload): take(payload, &replies, &bases)
            case .payload(let bytes):
                if case .asked = state { break }
                replies += bytes
            case .ends: try end(&replies, &question)
            }
        }
    }

    private mutating func begin(_ header: RPCHeader, _ replies: inout [UInt8]) {
        let byteCount = header.payloadByteCount
        if case .asked = state {
            // Anything else is no base, and goes no further.
            if byteCount == RPCBufferBase.answerByteCount {
                dialogue.collectReply(prefixByteCount: RPCBufferBase.answerByteCount)
            }
            return
        }
        if dialogue.conversation.awaited == .allocBuffer, byteCount == Self.allocationByteCount {
            state = .allocation
            dialogue.collectReply(prefixByteCount: Self.allocationByteCount)
        } else {
            header.encode(into: &replies)
        }
    }

    private mutating func take(
        _ payload: [UInt8],
        _ replies: inout [UInt8],
        _ bases: inout [RPCBufferBase]
    ) {
        switch state {
        case .passes: replies += payload
        case .allocation: allocation = payload
        case .asked(let buffer, _):
            bases.append(RPCBufferBase(buffer: buffer, base: Self.number(payload)))
        }
    }

    private mutating func end(
        _ replies: inout [UInt8],
        _ question: inout [UInt8]
    ) throws(RPCFramingError) {
        switch state {
        case .passes: break
        case .asked(_, let held):
            state = .passes
            replies += held
        case .allocation:
            state = .passes
            var answer: [UInt8] = []
            RPCHeader.reply(payloadByteCount: UInt64(allocation.count)).encode(into: &answer)
            answer += allocation
            let buffer = Self.number(allocation)
            // Between a client's requests only, and while nothing else is awaited: so the next
            // answer is the one to this question.
            guard buffer != 0, dialogue.conversation.isJudged, !dialogue.isAnswerAwaited,
                !dialogue.isAmidRequest
            else {
                replies += answer
                return
            }
            var bytes: [UInt8] = []
            RPCHeader.request(
                command: RPCCommand.bufferGetBase.rawValue,
                payloadByteCount: UInt64(RPCBufferBase.questionByteCount)
            ).encode(into: &bytes)
            bytes.append(littleEndian: buffer)
            state = .asked(buffer: buffer, held: answer)
            question += bytes
            try send(bytes[...])
        }
    }

    private static func number(_ bytes: [UInt8]) -> UInt64 {
        var offset = 0
        return (try? bytes.span.readLittleEndian(UInt64.self, at: &offset)) ?? 0
    }
}
