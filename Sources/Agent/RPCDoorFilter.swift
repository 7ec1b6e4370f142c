import LlamaRPC
import Primitives
import Sockets

/// Stands between a llama-server and a worker's RPC server, on the master: answers what is known
/// already, so that it costs no way to the worker, and counts what goes there.
///
/// The worker is first asked by the first request that only it can answer. It is greeted then as
/// llama-server has greeted us, and its own greeting is looked at and goes no further.
final class RPCDoorFilter: RelayFilter {
    private let memory: WorkerMemory
    private let facts: RPCServerFacts
    private let counts: ConnectionCounts
    private let bases: KnownBases
    private var requests = RPCFrameReader(.requests)
    private var replies = RPCFrameReader(.replies)
    /// With the worker.
    private var conversation: RPCConversation
    private var isWorkerGreeted = false
    private var isWorkerGreetingAwaited = false
    private var hasAllocated = false
    /// The request whose payload is being collected, to answer it here if that can be done.
    private var candidate: RPCHeader?
    /// What passes in the payload of the request that is under way.
    private var passing = Passing.other
    private var openQuestion: RPCAllocQuestion?
    private var gathering = RPCGathering()
    /// What passed last was the end of an answer.
    private var hasAnswered = false
    private var replyPassing = ReplyPassing.through

    private enum Passing {
        case tensor(prefixLeft: Int)
        case other
    }

    private enum ReplyPassing {
        case through
        case greeting
        case size
    }

    init(
        _ memory: WorkerMemory,
        _ facts: RPCServerFacts,
        _ counts: ConnectionCounts,
        _ bases: KnownBases
    ) {
        self.memory = memory
        self.counts = counts
        self.bases = bases
        self.facts = facts
        conversation = RPCConversation(version: facts.version)
    }

    func pass(
        _ bytes: ArraySlice<UInt8>,
        from side: RelaySide,
        toFirst: inout [UInt8],
        toSecond: inout [UInt8]
    ) throws(RelayFilterError) {
        var rest = bytes
        var problem: String?
        do throws(RPCFramingError) {
            switch side {
            case .first:
                while let event = try requests.next(&rest) { take(event, &toFirst, &toSecond) }
            case .second:
                while problem == nil, let event = try replies.next(&rest) {
                    problem = takeReply(event, &toFirst)
                }
            }
        } catch {
            problem = "\(error)"
        }
        if let problem { throw RelayFilterError(problem) }
    }

    func ended(_ side: RelaySide, toFirst: inout [UInt8], toSecond: inout [UInt8]) {
        if side == .first { gathering.flush(to: &toSecond) }
    }

    /// llama-server goes on with what it has begun, and after an answer, with this worker or the
    /// next.
    var expectsMore: Bool { gathering.isKeeping || hasAnswered }

    // MARK: - What llama-server asks

    private func take(
        _ event: RPCFrameReader.Event,
        _ toFirst: inout [UInt8],
        _ toSecond: inout [UInt8]
    ) {
        switch event {
        case .begins(let header): begin(header, &toSecond)
        case .prefix(let payload):
            guard let header = candidate, case .request(let command, _) = header else { return }
            candidate = nil
            if let answer = answer(to: command, payload) {
                RPCHeader.reply(payloadByteCount: UInt64(answer.count)).encode(into: &toFirst)
                toFirst += answer
                counts.noteAnswered()
            } else {
                forward(header, &toSecond)
                gathering.add(payload[...], to: &toSecond)
            }
        case .payload(let slice):
            count(slice.count)
            gathering.add(slice, to: &toSecond)
        case .ends: break
        }
    }

    private func begin(_ header: RPCHeader, _ toSecond: inout [UInt8]) {
        guard case .request(let command, let byteCount) = header else { return }
        // Answers come in order: while the worker owes one, nothing is answered here.
        if conversation.isJudged, conversation.awaitedCount == 0, mayKnow(command, byteCount) {
            candidate = header
            requests.collect(prefixByteCount: Int(byteCount))
            return
        }
        forward(header, &toSecond)
    }

    private func mayKnow(_ command: UInt8, _ byteCount: UInt64) -> Bool {
        if command == RPCCommand.getAllocSize.rawValue {
            return byteCount == UInt64(RPCAllocQuestion.payloadByteCount)
        }
        if command == RPCCommand.bufferGetBase.rawValue {
            return byteCount == UInt64(RPCBufferBase.questionByteCount)
        }
        return RPCServerFacts.answerableByteCount(command) == byteCount
    }

    private func answer(to command: UInt8, _ payload: [UInt8]) -> [UInt8]? {
        openQuestion = nil
        if command == RPCCommand.bufferGetBase.rawValue { return bases.answer(payload) }
        guard command == RPCCommand.getAllocSize.rawValue else {
            return facts.answer(to: command, payload, hasAllocated: hasAllocated)
        }
        guard let question = RPCAllocQuestion(payload) else { return nil }
        guard let size = memory.size(question) else {
            openQuestion = question
            return nil
        }
        var answer: [UInt8] = []
        answer.append(littleEndian: size)
        return answer
    }

    private func forward(_ header: RPCHeader, _ toSecond: inout [UInt8]) {
        guard case .request(let command, _) = header else { return }
        if !isWorkerGreeted {
            isWorkerGreeted = true
            // llama-server's own HELLO was answered here.
            if command != RPCCommand.hello.rawValue {
                isWorkerGreetingAwaited = true
                conversation.asks(RPCCommand.hello.rawValue)
                RPCHeader.request(command: RPCCommand.hello.rawValue, payloadByteCount: 24)
                    .encode(into: &toSecond)
                toSecond += [UInt8](repeating: 0, count: 24)
            }
        }
        if conversation.asks(command) == true { counts.noteAsked() }
        if command == RPCCommand.allocBuffer.rawValue { hasAllocated = true }
        if command == RPCCommand.freeBuffer.rawValue { bases.forget() }
        passing =
            command == RPCCommand.setTensor.rawValue
            ? .tensor(prefixLeft: RPCSetTensor.prefixByteCount) : .other
        hasAnswered = false
        gathering.begins(command, isJudged: conversation.isJudged)
        var bytes: [UInt8] = []
        header.encode(into: &bytes)
        gathering.add(bytes[...], to: &toSecond)
    }

    private func count(_ byteCount: Int) {
        guard case .tensor(let prefixLeft) = passing else { return }
        passing = .tensor(prefixLeft: max(0, prefixLeft - byteCount))
        counts.addWeights(max(0, byteCount - prefixLeft))
    }

    // MARK: - What the worker answers

    /// Returns what is wrong with it.
    private func takeReply(
        _ event: RPCFrameReader.Event,
        _ toFirst: inout [UInt8]
    ) -> String? {
        switch event {
        case .begins(let header):
            guard !conversation.isJudged || conversation.awaited != nil else {
                return "a reply of \(header.payloadByteCount) bytes to nothing"
            }
            if isWorkerGreetingAwaited {
                replyPassing = .greeting
                replies.collect(prefixByteCount: 28)
                return nil
            }
            replyPassing = .through
            if openQuestion != nil, conversation.awaited == .getAllocSize {
                replyPassing = .size
                replies.collect(prefixByteCount: 8)
            }
            header.encode(into: &toFirst)
        case .prefix(let payload):
            guard case .greeting = replyPassing else {
                learn(payload)
                toFirst += payload
                return nil
            }
            guard RPCVersion(hello: payload) == facts.version else {
                return "another server than the one that was asked before"
            }
        case .payload(let slice):
            if case .greeting = replyPassing { return nil }
            toFirst += slice
        case .ends:
            isWorkerGreetingAwaited = false
            conversation.isAnswered()
            hasAnswered = conversation.isJudged && conversation.awaitedCount == 0
        }
        return nil
    }

    private func learn(_ payload: [UInt8]) {
        var offset = 0
        guard let question = openQuestion,
            let size = try? payload.span.readLittleEndian(UInt64.self, at: &offset)
        else { return }
        openQuestion = nil
        memory.learn(question, size)
    }
}
