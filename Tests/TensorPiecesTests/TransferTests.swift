import LlamaRPC
import Primitives
import Testing
@testable import TensorPieces

/// The master's and the worker's side, joined, with a store in between.
@Suite struct TransferTests {
    /// A connection of llama-server: weights of many sizes, then computations with inputs.
    static func conversation(_ generator: inout SeededGenerator) -> [UInt8] {
        var stream: [UInt8] = []
        for number in 0..<(1 + generator.below(6)) {
            stream += Message.request(15, [])
            let byteCount =
                switch generator.below(4) {
                case 0: generator.below(40_000)
                case 1: 16_384 + generator.below(3)
                case 2: (1 << 20) * (1 + generator.below(3)) + generator.below(5000)
                default: generator.below(3 << 20)
                }
            let data = Message.data(byteCount, &generator)
            stream += Message.setTensor("blk.\(number).ffn_up.weight", data)
        }
        stream += Message.request(10, [1, 2, 3, 4])
        for _ in 0..<3 {
            let data = Message.data(20_000, &generator)
            stream += Message.setTensor("RPC0#inp_embd#0", data)
            stream += Message.request(16, [0, 0, 0, 0])
        }
        return stream
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func `the RPC server gets what llama-server said, whatever is in the store`(
        seed: UInt64
    ) throws {
        var generator = SeededGenerator(seed: seed)
        let stream = Self.conversation(&generator)
        var link = Link(seed: seed)
        for round in 0..<3 {
            // Some of the store is lost between the rounds.
            if round == 2 { link.store = link.store.filter { _, bytes in bytes[0] % 2 == 0 } }
            link.reset()
            try link.carry(stream)
            #expect(link.written == stream)
            #expect(link.sender.unresolvedByteCount == 0)
            let totals = link.report ?? TensorTotals()
            #expect(totals == link.receiver.totals)
            if round == 0 { #expect(totals.foundByteCount <= totals.sentByteCount) }
            if round == 1 { #expect(totals.sentByteCount == 0) }
        }
    }

    /// Weights in one go, in parts that begin anywhere, and of an older llama.cpp.
    @Test(arguments: 0..<8 as Range<UInt64>)
    func `of every piece it is known to which tensor it belongs, and where`(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        var stream: [UInt8] = []
        var tensors: [String: (data: [UInt8], cut: Int)] = [:]
        for number in 0..<6 {
            let name = "blk.\(number).attn_q.weight"
            let data = Message.data(20_000 + generator.below(5 << 18), &generator)
            stream += Message.request(15, [])
            let cut = generator.below(data.count)
            tensors[name] = (data, cut)
            switch generator.below(3) {
            case 0: stream += Message.setTensor(name, data, isOlder: true)
            case 1: stream += Message.setTensor(name, data)
            default:
                stream += Message.setTensor(name, data, 0..<cut)
                stream += Message.setTensor(name, data, cut..<data.count)
            }
        }
        stream += Message.request(10, [1, 2, 3, 4])
        var link = Link(seed: seed)
        try link.carry(stream)
        #expect(link.written == stream)
        #expect(link.places.count >= 6)
        for (name, place) in link.places {
            let place = try #require(place)
            let (data, cut) = try #require(tensors[place.name])
            #expect(place.byteCount == UInt64(data.count))
            let start = Int(place.offset)
            // Up to the next cut, or to the end of what was set.
            let ends = [((start >> 20) + 1) << 20, cut, data.count]
            #expect(
                ends.contains { end in
                    start < end && end <= data.count && PieceName(of: data[start..<end]) == name
                },
                "\(place)"
            )
        }
    }

    @Test func `of a stream that makes no sense nothing is known, and all arrives`() throws {
        var receiver = TensorReceiver()
        var requests: [UInt8] = []
        var effects: [TensorReceiver.Effect] = []
        let head = Message.setTensor("blk.0.attn_q.weight", [UInt8](repeating: 1, count: 20_000))
            .prefix(9 + 305)
        var wire: [UInt8] = []
        wire.append(part: .bytes, head[...])
        // More than the request has to come.
        wire.append(announcing: PieceName(of: [1]), byteCount: 20_001)
        wire.append(part: .bytes, [14, 0, 0, 0, 0, 0, 0, 0, 0])
        wire.append(announcing: PieceName(of: [2]), byteCount: 20_000)
        try receiver.receive(wire[...], requests: &requests, effects: &effects)
        let places = effects.map { effect -> TensorPlace? in
            if case .look(_, _, _, let place) = effect { place } else { nil }
        }
        #expect(places == [nil, nil])
    }

    @Test func `what the worker's side tells of buffers arrives before what follows`() throws {
        var sender = TensorSender(takesBases: true)
        var receiver = TensorReceiver()
        var (wire, heard): ([UInt8], [UInt8]) = ([], [])
        let base = RPCBufferBase(buffer: .max, base: 1 << 40)
        receiver.tell(base, into: &wire)
        receiver.reply([1, 2, 3], into: &wire)
        for byte in wire.dropLast() { try sender.receive([byte], replies: &heard) }
        #expect(heard == [1, 2])
        #expect(sender.takeBases() == [base])
        // It is nothing that a master says.
        var effects: [TensorReceiver.Effect] = []
        #expect(throws: TensorStreamError.misplacedPart(6)) {
            try receiver.receive(wire[...], requests: &heard, effects: &effects)
        }
    }

    @Test func `what comes back is carried as it is`() throws {
        var link = Link(seed: 1)
        var generator = SeededGenerator(seed: 1)
        let replies = Message.data(3 << 20, &generator)
        try link.carry(back: replies)
        #expect(link.heard == replies)
    }

    @Test func `the master keeps no more than its window, and the worker than its limits`() throws {
        var generator = SeededGenerator(seed: 7)
        let data = Message.data(40 << 20, &generator)
        let stream = Message.setTensor("output.weight", data)
        var sender = TensorSender()
        var receiver = TensorReceiver()
        var fed = 0
        var wire: [UInt8] = []
        while fed < stream.count, sender.takesMore {
            try sender.send(stream[fed..<min(fed + 65_519, stream.count)], into: &wire)
            fed += 65_519
        }
        #expect(sender.unresolvedByteCount <= 9 << 20)
        var requests: [UInt8] = []
        var effects: [TensorReceiver.Effect] = []
        try receiver.receive(wire[...], requests: &requests, effects: &effects)
        // Nothing was found yet: the worker does not ask for more.
        #expect(!receiver.takesMore)
        #expect(!receiver.hasMore)
        #expect(effects.count == 8)
        // A master that goes on regardless is refused.
        var more: [UInt8] = []
        #expect(throws: TensorStreamError.self) {
            for _ in 0..<20 {
                more.removeAll()
                more.append(announcing: PieceName(of: [1]), byteCount: 1 << 20)
                try receiver.receive(more[...], requests: &requests, effects: &effects)
            }
        }
    }

    @Test func `a piece of another length than announced is refused`() throws {
        var receiver = TensorReceiver()
        var (requests, answers): ([UInt8], [UInt8]) = ([], [])
        var effects: [TensorReceiver.Effect] = []
        var wire: [UInt8] = []
        wire.append(announcing: PieceName(of: [1, 2]), byteCount: 2)
        try receiver.receive(wire[...], requests: &requests, effects: &effects)
        #expect(throws: TensorStreamError.unasked(part: 3)) {
            var early = receiver
            try early.receive([3, 0, 0, 0, 2], requests: &requests, effects: &effects)
        }
        receiver.found(0, nil, answers: &answers)
        #expect(answers == [5])
        #expect(throws: TensorStreamError.otherByteCount(announced: 2, sent: 3)) {
            try receiver.receive([3, 0, 0, 0, 3], requests: &requests, effects: &effects)
        }
    }

    @Test func `something of another length that is found counts as not found`() throws {
        var receiver = TensorReceiver()
        var (requests, answers): ([UInt8], [UInt8]) = ([], [])
        var effects: [TensorReceiver.Effect] = []
        var wire: [UInt8] = []
        wire.append(announcing: PieceName(of: [1, 2]), byteCount: 2)
        try receiver.receive(wire[...], requests: &requests, effects: &effects)
        receiver.found(0, [1], answers: &answers)
        #expect(answers == [5])
    }

    @Test func `tensors are cut at the same places in a file and in a request`() {
        let limit: UInt64 = 1 << 20
        #expect(PieceCut.pieces(ofTensor: 16_383).isEmpty)
        #expect(PieceCut.pieces(ofTensor: 16_384) == [0..<16_384])
        #expect(PieceCut.pieces(ofTensor: limit + 4095) == [0..<limit])
        let two = [0..<limit, limit..<(limit + 4096)]
        #expect(PieceCut.pieces(ofTensor: limit + 4096) == two)
    }
}
