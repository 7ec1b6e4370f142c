import LlamaRPC
import Testing
@testable import TensorPieces

@Suite struct PartTests {
    @Test(arguments: TensorVectors.parts, [1, 3, 1 << 20])
    func `a stream of parts says what its vector says, however it is cut`(
        vector: TensorVectors.Parts,
        pieceByteCount: Int
    ) throws {
        let stream = try bytes(vector.hex)
        // A part of a megabyte byte by byte takes long and says nothing new.
        guard stream.count < 10_000 || pieceByteCount > 1 else { return }
        var reader = PartReader()
        var events: [PartReader.Event] = []
        var failure: TensorStreamError?
        reading: for start in stride(from: 0, to: stream.count, by: pieceByteCount) {
            var rest = stream[start..<min(start + pieceByteCount, stream.count)]
            do throws(TensorStreamError) {
                while let event = try reader.next(&rest) { add(event, to: &events) }
            } catch {
                failure = error
                break reading
            }
        }
        let expected = try vector.events.map(event)
        #expect(events == expected)
        #expect(failure == vector.error?.error)
    }

    /// Bytes that follow each other are told in as many slices as they came in.
    private func add(_ event: PartReader.Event, to events: inout [PartReader.Event]) {
        switch (events.last, event) {
        case (.bytes(let before), .bytes(let more)):
            events[events.count - 1] = .bytes(Array(before + more)[...])
        case (.pieceBytes(let before), .pieceBytes(let more)):
            events[events.count - 1] = .pieceBytes(Array(before + more)[...])
        default: events.append(event)
        }
    }

    private func event(_ event: TensorVectors.Event) throws -> PartReader.Event {
        if let text = event.bytes { return .bytes(try bytes(text)[...]) }
        if let text = event.pieceBytes { return .pieceBytes(try bytes(text)[...]) }
        if let count = event.piece { return .pieceBegins(byteCount: count) }
        if let text = event.announced, let count = event.byteCount {
            return .announced(try #require(PieceName(text)), byteCount: count)
        }
        if let buffer = event.buffer, let base = event.base {
            return .base(RPCBufferBase(buffer: buffer, base: base))
        }
        return event.have == true ? .have : .need
    }

    @Test(arguments: TensorVectors.exchanges)
    func `the master's side does what its vector says`(
        vector: TensorVectors.Exchange
    ) throws {
        var sender = TensorSender(takesBases: vector.takesBases ?? false)
        var sends: [UInt8] = []
        var hears: [UInt8] = []
        var failure: TensorStreamError?
        for step in vector.steps {
            if let text = step.says { try sender.send(try bytes(text)[...], into: &sends) }
            if let text = step.answers {
                do throws(TensorStreamError) {
                    try sender.receive(try answer(text), replies: &hears)
                } catch {
                    failure = error
                }
                while sender.hasMore { sender.sendNext(into: &sends) }
            }
            if let text = step.sends {
                let expected = try bytes(text)
                #expect(sends == expected)
                sends = []
            }
            if let text = step.hears {
                let expected = try bytes(text)
                #expect(hears == expected)
                hears = []
            }
            if let bases = step.bases {
                let expected = bases.map { RPCBufferBase(buffer: $0.buffer, base: $0.base) }
                #expect(sender.takeBases() == expected)
                #expect(sender.takeBases().isEmpty)
            }
        }
        #expect(failure == vector.error?.error)
        guard vector.error == nil else { return }
        try sender.send([10] + [UInt8](repeating: 0, count: 8), into: &sends)
        let totals = sender.takeReport() ?? TensorTotals()
        #expect(totals.foundByteCount == vector.found)
        #expect(totals.sentByteCount == vector.sent)
        #expect(sender.takeReport() == nil)
    }

    private func answer(_ text: String) throws(TensorStreamError) -> ArraySlice<UInt8> {
        ((try? bytes(text)) ?? [])[...]
    }

    @Test func `a name is the digest of FIPS 180 and reads back`() throws {
        let name = PieceName(of: Array("abc".utf8)[...])
        let digits = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        #expect(name.description == digits)
        #expect(PieceName(digits) == name)
        #expect(PieceName(digits.uppercased()) == nil)
        #expect(PieceName(digits.dropLast()) == nil)
        #expect(PieceName(digits.dropLast() + "g") == nil)
    }

    @Test(arguments: [
        "blk.0.attn_q.weight", "output.weight", "token_embd.weight", "blk.31.ssm_a",
        "blk.0.attn_q.bias", "output_norm.weight",
    ])
    func `a tensor of a model is known by its name`(name: String) {
        #expect(WeightRule.isWeight(name: padded(name)[...]))
    }

    @Test(arguments: [
        "RPC0#inp_embd#0", "inp_tokens", "cache_k_l0", "blk.0.attn_q.weight (view)", "", "KQ_mask",
        "RPC0[127.0.0.9:60101]#out_ids#0", "blk.0#x.weight", "node_12", "l_out-3",
    ])
    func `an input or a result of a computation is no weight`(name: String) {
        #expect(!WeightRule.isWeight(name: padded(name)[...]))
    }

    @Test func `a name that does not end within its field is none`() {
        let name = [UInt8](repeating: UInt8(ascii: "b"), count: 57) + Array(".weight".utf8)
        #expect(name.count == 64)
        #expect(!WeightRule.isWeight(name: name[...]))
        var dirty = padded("output.weight")
        dirty[63] = 1
        #expect(!WeightRule.isWeight(name: dirty[...]))
    }

    private func padded(_ name: String) -> [UInt8] {
        Array(name.utf8) + [UInt8](repeating: 0, count: 64 - name.utf8.count)
    }
}
