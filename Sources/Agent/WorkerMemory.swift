import LlamaRPC
import Primitives
import Synchronization

/// What the master's agent knows of one worker's RPC server; shared by the loop, which learns it,
/// and the relay's thread, which answers from it.
final class WorkerMemory: Sendable {
    private struct State {
        var facts: RPCServerFacts?
        var engine = ""
        var sizes = RPCAllocSizes()
    }

    private let state = Mutex(State())
    /// Of all workers whose devices compute alike.
    private let shared: SharedAllocSizes

    init(_ shared: SharedAllocSizes) {
        self.shared = shared
    }

    /// The server that runs now was asked.
    ///
    /// - Parameter engine: the worker's version of llama.cpp, as gossip has it; empty if unknown.
    func learn(_ facts: RPCServerFacts, engine: String) {
        state.withLock { state in
            // Sizes hold for one kind of server.
            if state.facts != facts || state.engine != engine { state.sizes = RPCAllocSizes() }
            state.facts = facts
            state.engine = engine
        }
    }

    func size(_ question: RPCAllocQuestion) -> UInt64? {
        if let kind = kind(question) { return shared.size(question, of: kind) }
        return state.withLock { $0.sizes[question] }
    }

    func learn(_ question: RPCAllocQuestion, _ byteCount: UInt64) {
        if let kind = kind(question) {
            shared.learn(question, byteCount, of: kind)
        } else {
            state.withLock { $0.sizes.learn(question, byteCount) }
        }
    }

    /// What the question's device has in common with others; nil if it stands for itself.
    private func kind(_ question: RPCAllocQuestion) -> SharedAllocSizes.Kind? {
        let (facts, engine) = state.withLock { ($0.facts, $0.engine) }
        guard let facts, question.device < facts.devices.count,
            facts.devices[Int(question.device)].isHost, !engine.isEmpty
        else { return nil }
        return SharedAllocSizes.Kind(
            version: facts.version,
            engine: engine,
            alignment: facts.devices[Int(question.device)].alignment
        )
    }
}

/// Allocation sizes that hold for every device of a kind: the processors of devices with the same
/// llama.cpp need the same memory for the same tensor.
final class SharedAllocSizes: Sendable {
    struct Kind: Hashable, Sendable {
        var version: RPCVersion
        var engine: String
        var alignment: UInt64
    }

    private static let kindLimit = 8
    private let tables = Mutex<[Kind: RPCAllocSizes]>([:])

    func size(_ question: RPCAllocQuestion, of kind: Kind) -> UInt64? {
        tables.withLock { $0[kind]?[question] }
    }

    func learn(_ question: RPCAllocQuestion, _ byteCount: UInt64, of kind: Kind) {
        tables.withLock { tables in
            if tables[kind] == nil, tables.count >= Self.kindLimit { tables.removeAll() }
            tables[kind, default: RPCAllocSizes()].learn(question, byteCount)
        }
    }
}

/// Where the buffers of one connection begin, as the worker's agent told before it was asked.
final class KnownBases: Sendable {
    private static let limit = 1024
    private let known = Mutex<[RPCBufferBase]>([])

    func learn(_ base: RPCBufferBase) {
        known.withLock { known in
            known.removeAll { $0.buffer == base.buffer }
            if known.count < Self.limit { known.append(base) }
        }
    }

    /// Answers a BUFFER_GET_BASE; nil if only the server can.
    func answer(_ question: [UInt8]) -> [UInt8]? {
        var offset = 0
        guard let buffer = try? question.span.readLittleEndian(UInt64.self, at: &offset),
            let base = known.withLock({ $0.first { $0.buffer == buffer } })
        else { return nil }
        var answer: [UInt8] = []
        answer.append(littleEndian: base.base)
        return answer
    }

    /// A buffer goes, and the server may call another one the same.
    func forget() { known.withLock { $0 = [] } }
}

/// What has passed in one connection of llama-server to a worker.
final class ConnectionCounts: Sendable {
    private let weights = Atomic<UInt64>(0)
    private let answered = Atomic<UInt64>(0)
    private let asked = Atomic<UInt64>(0)
    private let found = Atomic<UInt64>(0)

    func addWeights(_ byteCount: Int) {
        weights.wrappingAdd(UInt64(byteCount), ordering: .relaxed)
    }

    /// So much of the weights has not travelled: the worker had it, or has still to say so.
    func noteFound(_ byteCount: UInt64) { found.store(byteCount, ordering: .relaxed) }

    func noteAnswered() { answered.wrappingAdd(1, ordering: .relaxed) }
    func noteAsked() { asked.wrappingAdd(1, ordering: .relaxed) }

    /// Bytes of tensors on their way to the worker.
    var weightByteCount: UInt64 { weights.load(ordering: .relaxed) }
    /// What of them went over the network.
    var sentByteCount: UInt64 {
        let found = found.load(ordering: .relaxed)
        let all = weightByteCount
        return all - min(found, all)
    }
    /// Requests that were answered here.
    var answeredCount: UInt64 { answered.load(ordering: .relaxed) }
    /// Requests that the worker had to answer.
    var askedCount: UInt64 { asked.load(ordering: .relaxed) }
}
