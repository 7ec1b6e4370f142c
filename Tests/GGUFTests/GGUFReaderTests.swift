import GGUF
import Primitives
import Testing

struct GGUFReaderTests {
    @Test func `what was written is read`() throws {
        let written = try GGUFHeader.sample()
        let bytes = written.file()
        let file = try header(of: bytes)

        #expect(file.version == 3)
        #expect(file.alignment == 32)
        #expect(file.dataOffset == UInt64(written.encoded().count))
        #expect(file.byteCount == UInt64(bytes.count))
        #expect(file.tensors == written.tensors)
        #expect(file.metadata.first?.key == "general.architecture")
        #expect(file["a"] == .uint8(200))
        #expect(file["b"] == .int8(-1))
        #expect(file["c"] == .uint16(65535))
        #expect(file["d"] == .int16(-2))
        #expect(file["e"] == .float32(1.5))
        #expect(file["f"] == .boolean(true))
        #expect(file["g"] == .uint64(1 << 40))
        #expect(file["h"] == .int64(-3))
        #expect(file["i"] == .float64(0.25))
        #expect(file["j"]?.array?.elements == [.int32(1), .int32(-1)])
        #expect(file["tokenizer.ggml.tokens"]?.array?.elements?.last == .string("größe"))
        #expect(file["nothing"] == nil)
        #expect(file.tensor(named: "blk.0.attn_q.weight")?.byteCount == 32 * 34)
        #expect(file.tensor(named: "blk.1.attn_norm.weight")?.byteCount == 124)
    }

    @Test func `a window of any size gives the same header`() throws {
        let bytes = try GGUFHeader.sample().file()
        let whole = try header(of: bytes)
        for size in 16..<80 {
            var limits = GGUFReader.Limits()
            limits.windowByteCount = size
            #expect(try header(of: bytes, limits: limits) == whole)
        }
    }

    @Test func `every truncation is refused`() throws {
        let bytes = try GGUFHeader.sample().file()
        let last = try #require(try header(of: bytes).tensors.last)
        let headerEnd = try header(of: bytes).dataOffset
        // Only the padding behind the last tensor may be missing.
        let end = Int(headerEnd + last.offset + last.byteCount)
        for count in 0..<end {
            #expect(throws: GGUFError.self, "\(count) bytes") {
                try header(of: Array(bytes[..<count]))
            }
            // As a file whose size is known, but whose reads end early.
            if count < Int(headerEnd) - 32 {
                #expect(throws: GGUFError.self, "\(count) bytes of a longer file") {
                    try header(of: Array(bytes[..<count]), byteCount: UInt64(bytes.count))
                }
            }
        }
    }

    @Test func `every changed byte gives an error or a header, never a crash`() throws {
        let bytes = try GGUFHeader.sample().file()
        let headerEnd = Int(try header(of: bytes).dataOffset)
        var readable = 0
        for index in 0..<headerEnd {
            for change: UInt8 in [1, 2, 4, 8, 16, 32, 64, 128, 255, 127] {
                var changed = bytes
                changed[index] ^= change
                guard let file = try? header(of: changed) else { continue }
                readable += 1
                _ = try? ModelFacts(file)
            }
        }
        #expect(readable > 0)
    }

    @Test(arguments: 0..<8 as Range<UInt64>)
    func `random damage gives an error or a header, never a crash`(seed: UInt64) throws {
        let bytes = try GGUFHeader.sample().file()
        let headerEnd = Int(try header(of: bytes).dataOffset)
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<500 {
            var damaged = bytes
            for _ in 0...generator.below(6) {
                let index = generator.below(headerEnd)
                let value: UInt8 = generator.below(2) == 0 ? 0xFF : UInt8(generator.below(256))
                for place in index..<min(index + 1 + generator.below(8), headerEnd) {
                    damaged[place] = value
                }
            }
            // Claiming a huge file lifts the bounds that its size sets.
            if let file = try? header(of: damaged, byteCount: .max) { _ = try? ModelFacts(file) }
            if let file = try? header(of: damaged) { _ = try? ModelFacts(file) }
        }
    }

    @Test func `a failing read is passed on`() {
        let failure = GGUFError.unreadable(offset: 0, reason: "Input/output error")
        #expect(throws: failure) {
            try GGUFReader().readHeader(byteCount: 100) { _, _ throws(GGUFError) in throw failure }
        }
    }

    @Test func `other files and versions are refused`() throws {
        #expect(throws: GGUFError.notGGUF(magic: 0x0403_4B50)) {
            try header(of: [0x50, 0x4B, 3, 4] + Array(repeating: 0, count: 60))
        }
        var bytes = try GGUFHeader.sample().file()
        bytes[4] = 2
        #expect(try header(of: bytes).version == 2)
        bytes[4] = 1
        #expect(throws: GGUFError.unsupportedVersion(1)) { try header(of: bytes) }
    }

    @Test func `a long array is counted and passed over`() throws {
        var written = GGUFHeader()
        let words = (0..<150_000).map { GGUFValue.string("word\($0)") }
        written.add("tokens", .array(GGUFArray(.string, words)))
        written.add("scores", .array(GGUFArray(.float32, words.map { _ in .float32(0) })))
        written.add("after", .uint32(7))
        let bytes = written.encoded()
        var readByteCount = 0
        let file = try GGUFReader().readHeader(byteCount: UInt64(bytes.count)) {
            offset,
            count throws(GGUFError) in
            readByteCount += count
            return [UInt8](bytes[Int(offset)..<Int(offset) + count])
        }
        #expect(file["tokens"]?.array == file["tokens"]?.array)
        #expect(file["tokens"]?.array?.count == 150_000)
        #expect(file["tokens"]?.array?.elements == nil)
        #expect(file["scores"]?.array?.count == 150_000)
        #expect(file["after"] == .uint32(7))
        // Numbers are jumped over, not read.
        #expect(readByteCount < bytes.count - 500_000)
    }
}
