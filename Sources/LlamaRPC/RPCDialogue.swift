/// Follows both sides of one RPC connection: takes them apart, and knows what waits for an answer.
///
/// Framing goes on when a conversation is not judged any more: a length is a length.
package struct RPCDialogue: Sendable {
    package private(set) var conversation = RPCConversation()
    private var requests = RPCFrameReader(.requests)
    private var replies = RPCFrameReader(.replies)

    package init() {}

    /// Whether the server owes an answer, or a part of one.
    package var isAnswerAwaited: Bool { conversation.awaitedCount > 0 }

    /// Whether a client has begun to say something that is not complete.
    package var isAmidRequest: Bool { requests.isAmidMessage }

    /// The next event in bytes that the client sent, as `RPCFrameReader.next`.
    package mutating func nextRequest(
        _ bytes: inout ArraySlice<UInt8>
    ) throws(RPCFramingError) -> RPCFrameReader.Event? {
        let event = try requests.next(&bytes)
        if case .begins(.request(let command, _)) = event { conversation.asks(command) }
        return event
    }

    /// Asks for the first bytes of the request that has just begun.
    package mutating func collectRequest(prefixByteCount: Int) {
        requests.collect(prefixByteCount: prefixByteCount)
    }

    /// The next event in bytes that the server sent.
    ///
    /// While a reply has not ended, `conversation.awaited` is the command that it answers.
    package mutating func nextReply(
        _ bytes: inout ArraySlice<UInt8>
    ) throws(RPCFramingError) -> RPCFrameReader.Event? {
        let event = try replies.next(&bytes)
        switch event {
        case .begins(let header):
            if conversation.isJudged, conversation.awaited == nil {
                throw .unaskedReply(byteCount: header.payloadByteCount)
            }
            if conversation.awaited == .hello {
                replies.collect(prefixByteCount: RPCFrameReader.prefixByteLimit)
            }
        case .prefix(let payload):
            if conversation.awaited == .hello { conversation.greets(payload) }
        case .ends: conversation.isAnswered()
        case .payload, nil: break
        }
        return event
    }

    /// Asks for the first bytes of the reply that has just begun.
    package mutating func collectReply(prefixByteCount: Int) {
        guard conversation.awaited != .hello else { return }
        replies.collect(prefixByteCount: prefixByteCount)
    }
}
