import LlamaRPC
import Primitives
import Testing

/// The framing and the conversations of Protocols/vectors/rpc.json, and rubbish.
struct RPCFrameTests {
    @Test(arguments: Framing.all)
    func `a side of a connection reads as its vector says`(_ vector: Framing) {
        #expect(vector.play(pieceByteCount: .max / 2) == vector.outcome)
    }

    @Test(arguments: Framing.all)
    func `it may arrive in pieces of any size`(_ vector: Framing) {
        for pieceByteCount in 1...max(1, vector.bytes.count) {
            #expect(vector.play(pieceByteCount: pieceByteCount) == vector.outcome)
        }
    }

    @Test(arguments: Framing.all.filter { $0.outcome.error == nil })
    func `what was read is written as the same again`(_ vector: Framing) {
        var written: [UInt8] = []
        for step in vector.play(pieceByteCount: .max / 2).steps {
            switch step {
            case .begins(let header): header.encode(into: &written)
            case .prefix(let bytes), .payload(let bytes): written += bytes
            case .ends: break
            }
        }
        #expect(written == Array(vector.bytes.prefix(written.count)))
        // Only a header that is not whole may be missing.
        #expect(vector.bytes.count - written.count < vector.kind.headerByteCount)
    }

    @Test func `a refused stream stays refused`() throws {
        var reader = RPCFrameReader(.replies)
        var bytes = [UInt8](repeating: 0xFF, count: 8)[...]
        let error = RPCFramingError.payloadTooLong(.max, limit: RPCFrameReader.payloadByteLimit)
        #expect(throws: error) { try reader.next(&bytes) }
        var more = [UInt8](repeating: 0, count: 8)[...]
        #expect(throws: error) { try reader.next(&more) }
    }

    @Test func `no more of a payload is collected than the limit`() throws {
        var reader = RPCFrameReader(.requests)
        var bytes: [UInt8] = []
        RPCHeader.request(command: 10, payloadByteCount: 100_000).encode(into: &bytes)
        bytes += [UInt8](repeating: 7, count: 100_000)
        var rest = bytes[...]
        _ = try reader.next(&rest)
        reader.collect(prefixByteCount: 50_000)
        let event = try reader.next(&rest)
        #expect(
            event == .prefix([UInt8](repeating: 7, count: RPCFrameReader.prefixByteLimit))
        )
    }

    @Test(arguments: Conversation.all)
    func `what is awaited is what the vector says`(_ vector: Conversation) throws {
        var conversation = RPCConversation()
        for step in vector.steps {
            switch step {
            case .asks(let command): conversation.asks(command)
            case .greets(let payload):
                conversation.greets(payload)
                let answered = conversation.isAnswered()
                #expect(answered == .hello || !conversation.isJudged)
            case .answered(let command):
                #expect(conversation.isAnswered()?.rawValue == command)
            }
        }
        #expect(conversation.isJudged == vector.isJudged)
        #expect(conversation.version == vector.version.flatMap { RPCVersion($0) })
        #expect(conversation.awaitedCount == vector.awaited.count)
        for command in vector.awaited {
            #expect(conversation.isAnswered()?.rawValue == command)
        }
        #expect(conversation.isAnswered() == nil)
    }

    @Test func `a dialogue knows the version and what the server owes`() throws {
        var dialogue = RPCDialogue()
        var hello: [UInt8] = []
        RPCHeader.request(command: 14, payloadByteCount: 24).encode(into: &hello)
        hello += [UInt8](repeating: 0, count: 24)
        try feed(hello, to: &dialogue, as: .requests)
        #expect(dialogue.isAnswerAwaited)
        var answer: [UInt8] = []
        RPCHeader.reply(payloadByteCount: 28).encode(into: &answer)
        try feed(answer + [8, 0, 0, 0], to: &dialogue, as: .replies)
        #expect(dialogue.isAnswerAwaited)
        try feed([UInt8](repeating: 0, count: 24), to: &dialogue, as: .replies)
        #expect(!dialogue.isAnswerAwaited)
        #expect(dialogue.conversation.version == RPCVersion(major: 8, minor: 0, patch: 0))
        #expect(throws: RPCFramingError.unaskedReply(byteCount: 4)) {
            try feed([4, 0, 0, 0, 0, 0, 0, 0], to: &dialogue, as: .replies)
        }
    }

    @Test func `after an unknown command replies are framed but not judged`() throws {
        var dialogue = RPCDialogue()
        var request: [UInt8] = []
        RPCHeader.request(command: 99, payloadByteCount: 2).encode(into: &request)
        try feed(request + [1, 2], to: &dialogue, as: .requests)
        try feed([1, 0, 0, 0, 0, 0, 0, 0, 9], to: &dialogue, as: .replies)
        #expect(!dialogue.isAnswerAwaited)
        #expect(!dialogue.conversation.isJudged)
        #expect(!dialogue.isAmidRequest)
    }

    @Test func `more awaited answers than the limit are not judged`() {
        var conversation = RPCConversation()
        conversation.asks(14)
        conversation.greets([8, 0, 0])
        conversation.isAnswered()
        for _ in 0..<RPCConversation.awaitedLimit { #expect(conversation.asks(8) == true) }
        #expect(conversation.isJudged)
        #expect(conversation.asks(8) == nil)
        #expect(!conversation.isJudged)
    }

    @Test func `SET_TENSOR says which tensor and where, and is too short a byte less`() throws {
        let vector = try #require(Framing.all.first { $0.prefixByteCount == 305 })
        let prefix = vector.outcome.steps.compactMap { step -> [UInt8]? in
            if case .prefix(let bytes) = step { bytes } else { nil }
        }.first
        let set = try RPCSetTensor(try #require(prefix))
        #expect(set.tensor.dimensions == [1, 1, 1, 1])
        #expect(set.tensor.buffer != 0)
        #expect(set.tensor.data > set.tensor.buffer)
        #expect(set.offset == 0)
        #expect(!set.isCached)
        for byteCount in 0..<RPCSetTensor.prefixByteCount {
            #expect(throws: RPCLayoutError.self) {
                try RPCSetTensor(Array(try #require(prefix).prefix(byteCount)))
            }
        }
    }

    private func feed(
        _ bytes: [UInt8],
        to dialogue: inout RPCDialogue,
        as kind: RPCFrameKind
    ) throws(RPCFramingError) {
        var rest = bytes[...]
        switch kind {
        case .requests: while try dialogue.nextRequest(&rest) != nil {}
        case .replies: while try dialogue.nextReply(&rest) != nil {}
        }
    }
}
