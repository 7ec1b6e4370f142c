@testable import Agent
import LlamaRPC
import Primitives
import Sockets
import Testing

/// What a door of the master answers itself, without sockets.
@Suite struct RPCDoorFilterTests {
    private static let version = RPCVersion(major: 8, minor: 0, patch: 0)
    private static let facts = RPCServerFacts(
        version: version,
        devices: [
            RPCServerFacts.Device(
                memory: RPCDevice(memoryFree: ByteCount(9), memoryTotal: ByteCount(9)),
                alignment: 32,
                maxSize: .max
            )
        ]
    )

    private let memory = WorkerMemory(SharedAllocSizes())
    private let counts = ConnectionCounts()
    private let bases = KnownBases()

    init() {
        memory.learn(Self.facts, engine: "0.7.0")
    }

    private final class Side {
        var toFirst: [UInt8] = []
        var toSecond: [UInt8] = []
        let filter: RPCDoorFilter

        init(_ filter: RPCDoorFilter) { self.filter = filter }

        /// What the bytes make the filter say: to llama-server, and to the worker.
        func pass(_ bytes: [UInt8], from side: RelaySide) throws -> (back: [UInt8], forth: [UInt8])
        {
            (toFirst, toSecond) = ([], [])
            for byte in bytes {
                try filter.pass([byte], from: side, toFirst: &toFirst, toSecond: &toSecond)
            }
            return (toFirst, toSecond)
        }
    }

    private func side() -> Side { Side(RPCDoorFilter(memory, Self.facts, counts, bases)) }

    private func request(_ command: UInt8, _ payload: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        RPCHeader.request(command: command, payloadByteCount: UInt64(payload.count))
            .encode(into: &bytes)
        return bytes + payload
    }

    private func reply(_ payload: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        RPCHeader.reply(payloadByteCount: UInt64(payload.count)).encode(into: &bytes)
        return bytes + payload
    }

    private let zeros = [UInt8](repeating: 0, count: 24)

    @Test func `a connection that asks only what is known never reaches the worker`() throws {
        let side = side()
        let hello = try side.pass(request(14, zeros), from: .first)
        #expect(hello.back == reply([8, 0, 0, 0] + zeros))
        let count = try side.pass(request(15, []), from: .first)
        #expect(count.back == reply([1, 0, 0, 0]))
        let alignment = try side.pass(request(1, [0, 0, 0, 0]), from: .first)
        #expect(alignment.back == reply([32, 0, 0, 0, 0, 0, 0, 0]))
        #expect(hello.forth + count.forth + alignment.forth == [])
        #expect(counts.answeredCount == 3)
        #expect(counts.askedCount == 0)
    }

    @Test func `the worker is greeted with the first request for it, and its greeting stays here`()
        throws
    {
        let side = side()
        _ = try side.pass(request(14, zeros), from: .first)
        let allocation = request(0, [UInt8](repeating: 1, count: 12))
        let asked = try side.pass(allocation, from: .first)
        #expect(asked.forth == request(14, zeros) + allocation)
        #expect(asked.back == [])
        let greeting = try side.pass(reply([8, 0, 0, 0] + zeros), from: .second)
        #expect(greeting.back == [])
        let answer = reply([UInt8](repeating: 2, count: 16))
        #expect(try side.pass(answer, from: .second).back == answer)
        // From here on it passes what it does not know.
        let base = request(3, [UInt8](repeating: 3, count: 8))
        #expect(try side.pass(base, from: .first).forth == base)
        #expect(counts.askedCount == 2)
    }

    @Test func `where a buffer begins is answered if the worker's agent has told, until one goes`()
        throws
    {
        let side = side()
        func question(_ buffer: UInt8) -> [UInt8] { request(3, [buffer] + zeros.prefix(7)) }
        _ = try side.pass(request(14, zeros), from: .first)
        _ = try side.pass(request(0, [UInt8](repeating: 1, count: 12)), from: .first)
        _ = try side.pass(reply([8, 0, 0, 0] + zeros), from: .second)
        bases.learn(RPCBufferBase(buffer: 7, base: 0x1234))
        let allocated = reply([7] + zeros.prefix(15))
        #expect(try side.pass(allocated, from: .second).back == allocated)
        let known = try side.pass(question(7), from: .first)
        #expect(known.back == reply([0x34, 0x12] + zeros.prefix(6)) && known.forth.isEmpty)
        #expect(try side.pass(question(8), from: .first).forth == question(8))
        _ = try side.pass(reply([1] + zeros.prefix(7)), from: .second)
        // The server may call the next buffer the same.
        let free = request(4, [7] + zeros.prefix(7))
        #expect(try side.pass(free, from: .first).forth == free)
        #expect(try side.pass(question(7), from: .first).forth == question(7))
    }

    @Test func `another server than the one that was asked ends the connection`() throws {
        let side = side()
        _ = try side.pass(request(14, zeros), from: .first)
        _ = try side.pass(request(3, [UInt8](repeating: 3, count: 8)), from: .first)
        #expect(throws: RelayFilterError.self) {
            try side.pass(reply([8, 1, 0, 0] + zeros), from: .second)
        }
        #expect(throws: RelayFilterError.self, "and so does one that speaks unasked") {
            try self.side().pass(reply([1]), from: .second)
        }
    }

    @Test func `while the worker owes an answer nothing is answered before it`() throws {
        let side = side()
        _ = try side.pass(request(14, zeros), from: .first)
        _ = try side.pass(request(3, [UInt8](repeating: 3, count: 8)), from: .first)
        _ = try side.pass(reply([8, 0, 0, 0] + zeros), from: .second)
        let memory = request(11, [0, 0, 0, 0])
        let passed = try side.pass(memory, from: .first)
        #expect(passed.forth == memory)
        #expect(passed.back == [])
    }

    @Test func `what is not answered counts its weights and asks for nothing`() throws {
        let side = side()
        _ = try side.pass(request(14, zeros), from: .first)
        let tensor = request(6, [UInt8](repeating: 5, count: 305 + 1000))
        #expect(try side.pass(tensor, from: .first).forth == request(14, zeros))
        #expect(counts.weightByteCount == 1000)
        #expect(counts.askedCount == 0)
        #expect(side.filter.expectsMore)
        let graph = request(16, [UInt8](repeating: 7, count: 12))
        #expect(try side.pass(graph, from: .first).forth == tensor + graph)
        #expect(!side.filter.expectsMore)
    }

    @Test func `what waits for its graph goes out when llama-server has sent all`() throws {
        let side = side()
        let tensor = request(6, [UInt8](repeating: 5, count: 305 + 10))
        _ = try side.pass(request(14, zeros), from: .first)
        _ = try side.pass(tensor, from: .first)
        var (back, forth): ([UInt8], [UInt8]) = ([], [])
        side.filter.ended(.first, toFirst: &back, toSecond: &forth)
        #expect(forth == tensor && back.isEmpty)
    }

    @Test func `after an answer more is expected, until the next question is asked`() throws {
        let side = side()
        let question = request(8, [UInt8](repeating: 1, count: 312))
        _ = try side.pass(request(14, zeros), from: .first)
        _ = try side.pass(question, from: .first)
        _ = try side.pass(reply([8, 0, 0, 0] + zeros), from: .second)
        #expect(!side.filter.expectsMore)
        _ = try side.pass(reply([1, 2]), from: .second)
        #expect(side.filter.expectsMore)
        _ = try side.pass(question, from: .first)
        #expect(!side.filter.expectsMore)
    }

    @Test func `after an unknown command everything passes`() throws {
        let side = side()
        _ = try side.pass(request(14, zeros), from: .first)
        let unknown = request(20, [1])
        #expect(try side.pass(unknown, from: .first).forth == request(14, zeros) + unknown)
        _ = try side.pass(reply([8, 0, 0, 0] + zeros), from: .second)
        let count = request(15, [])
        #expect(try side.pass(count, from: .first).forth == count)
        #expect(try side.pass(reply([7]), from: .second).back == reply([7]))
    }

    @Test func `an allocation size is asked once, for every worker of a kind`() throws {
        let question = request(13, [0, 0, 0, 0] + [1] + [UInt8](repeating: 0, count: 3255))
        func learn(_ memory: WorkerMemory) throws -> (asked: [UInt8], again: [UInt8]) {
            let side = Side(RPCDoorFilter(memory, Self.facts, counts, bases))
            _ = try side.pass(request(14, zeros), from: .first)
            let asked = try side.pass(question, from: .first).forth
            if !asked.isEmpty {
                _ = try side.pass(reply([8, 0, 0, 0] + zeros), from: .second)
                let answer = try side.pass(reply([0, 2, 0, 0, 0, 0, 0, 0]), from: .second)
                #expect(answer.back == reply([0, 2, 0, 0, 0, 0, 0, 0]))
            }
            return (asked, try side.pass(question, from: .first).back)
        }
        let shared = SharedAllocSizes()
        let (one, other) = (WorkerMemory(shared), WorkerMemory(shared))
        one.learn(Self.facts, engine: "0.7.0")
        other.learn(Self.facts, engine: "0.7.0")
        let first = try learn(one)
        #expect(first.asked == request(14, zeros) + question)
        #expect(first.again == reply([0, 2, 0, 0, 0, 0, 0, 0]))
        let second = try learn(other)
        #expect(second.asked == [])
        #expect(second.again == first.again)
        // Another llama.cpp may compute otherwise, and so may one of which nothing is known.
        for engine in ["0.8.0", ""] {
            let third = WorkerMemory(shared)
            third.learn(Self.facts, engine: engine)
            #expect(try learn(third).asked == request(14, zeros) + question)
        }
    }
}
