import GGUF
import Primitives
import Testing

struct RandomModelTests {
    @Test func `the same seed gives the same bytes, another seed others`() throws {
        let first = try RandomModel(shape: .smallest, seed: 1).bytes
        #expect(try RandomModel(shape: .smallest, seed: 1).bytes == first)
        #expect(try RandomModel(shape: .smallest, seed: 2).bytes != first)
    }

    @Test func `the bytes are those that every machine writes`() throws {
        var hash: UInt64 = 0xCBF2_9CE4_8422_2325
        for byte in try RandomModel(shape: .smallest, seed: 7).bytes {
            hash = (hash ^ UInt64(byte)) &* 0x100_0000_01B3
        }
        #expect(String(hash, radix: 16) == "b31f6febb7a364f6")
    }

    @Test(arguments: [ModelShape.WeightType.f16, .f32])
    func `a file is as long as announced and its tensors end with it`(
        type: ModelShape.WeightType
    ) throws {
        var shape = ModelShape.smallest
        shape.weightType = type
        let model = try RandomModel(shape: shape)
        let bytes = model.bytes
        #expect(model.byteCount == UInt64(bytes.count))
        let file = try header(of: bytes)
        let last = try #require(file.tensors.last)
        #expect(file.dataOffset + last.offset + last.byteCount == UInt64(bytes.count))
    }

    @Test func `it is written in chunks, with progress`() throws {
        let model = try RandomModel(
            shape: ModelShape(near: ByteCount(1_000_000)),
            name: "in chunks"
        )
        var largest = 0
        var progress: [UInt64] = []
        model.write(progress: { progress.append($0) }) { span in
            largest = max(largest, span.count)
        }
        #expect(largest <= RandomModel.chunkByteCount + 65536)
        #expect(progress.count > 3)
        #expect(progress.last == model.byteCount)
    }

    @Test func `a sink that fails ends the writing`() throws {
        struct DiskFull: Error {}
        var count = 0
        let model = try RandomModel(shape: ModelShape(near: ByteCount(1_000_000)))
        #expect(throws: DiskFull.self) {
            try model.write { _ throws(DiskFull) in
                count += 1
                if count == 2 { throw DiskFull() }
            }
        }
        #expect(count == 2)
    }

    @Test(arguments: [600_000, 1_000_000, 3_000_000, 14_000_000, 100_000_000, 700_000_000])
    func `a shape near a size is near it`(byteCount: UInt64) throws {
        let shape = ModelShape(near: ByteCount(byteCount))
        try shape.validate()
        let actual = Double(try RandomModel(shape: shape).byteCount)
        #expect(abs(actual / Double(byteCount) - 1) < 0.12)
        #expect(4...24 ~= shape.layerCount)
    }

    @Test func `any size gives a valid shape`() throws {
        for shift in 0..<64 { try ModelShape(near: ByteCount(1 << shift)).validate() }
        try ModelShape(near: ByteCount(.max)).validate()
    }

    @Test func `the default is small, and has layers to share`() throws {
        let model = try RandomModel()
        #expect(10_000_000...15_000_000 ~= model.byteCount)
        #expect(ModelShape.tiny.layerCount >= 8)
    }

    @Test func `impossible shapes are refused with their numbers`() {
        var shape = ModelShape.tiny
        shape.headCount = 3
        shape.keyValueHeadCount = 3
        #expect(
            throws: ModelShapeError.notDivisible("embedding length", value: 256, by: 6)
        ) { try RandomModel(shape: shape) }
        shape = .tiny
        shape.vocabularySize = 100
        #expect(
            throws: ModelShapeError.outOfRange(
                "vocabulary size",
                value: 100,
                limits: 512...200_000
            )
        ) { try RandomModel(shape: shape) }
        shape = .tiny
        shape.layerCount = 0
        #expect(throws: ModelShapeError.self) { try RandomModel(shape: shape) }
        shape = .tiny
        shape.headCount = 0
        #expect(throws: ModelShapeError.self) { try RandomModel(shape: shape) }
    }

    @Test func `the tokenizer has every byte, its special tokens and whole words`() throws {
        var shape = ModelShape.smallest
        shape.vocabularySize = 1000
        let file = try header(of: try RandomModel(shape: shape).bytes)
        let tokens = try #require(file["tokenizer.ggml.tokens"]?.array?.elements)
        let texts = tokens.compactMap(\.text)
        #expect(texts.count == 1000)
        #expect(Set(texts).count == 1000)
        #expect(texts[..<3] == ["<unk>", "<s>", "</s>"])
        #expect(texts[3] == "<0x00>")
        #expect(texts[258] == "<0xFF>")
        #expect(texts[260] == "<|im_end|>")
        #expect(texts.contains("\u{2581}people"))
        // Every beginning of a piece is a piece, or SPM could not merge up to it.
        let known = Set(texts)
        for text in texts where text.hasPrefix("\u{2581}") && text.count > 2 {
            #expect(known.contains(String(text.dropLast())))
        }
        #expect(file["tokenizer.ggml.eos_token_id"] == .uint32(2))
        #expect(file["tokenizer.ggml.bos_token_id"] == .uint32(1))
    }

    @Test func `rows of the output are zero unless their token is a word or a mark`() throws {
        let bytes = try RandomModel(shape: .smallest).bytes
        let file = try header(of: bytes)
        let output = try #require(file.tensor(named: "output.weight"))
        func isZero(_ row: Int) -> Bool {
            let start = Int(file.dataOffset + output.offset) + row * 64
            return bytes[start..<start + 64].allSatisfy { $0 == 0 }
        }
        for row in 0...261 { #expect(isZero(row)) }
        let marks = 262..<267
        for row in marks { #expect(!isZero(row)) }
        #expect((267..<512).contains { !isZero($0) })
    }
}

struct HalfPrecisionTests {
    #if !(os(macOS) && arch(x86_64))
    @Test func `every float becomes the half that the hardware gives`() {
        var generator = SeededGenerator(seed: 3)
        for bits in UInt16.min...UInt16.max {
            let half = Float16(bitPattern: bits)
            guard half.isFinite else { continue }
            #expect(halfPrecisionBits(Float(half)) == bits)
        }
        for _ in 0..<20000 {
            let value = Float(bitPattern: UInt32(truncatingIfNeeded: generator.next()))
            guard value.isFinite else { continue }
            let expected = Float16(value)
            #expect(halfPrecisionBits(value) == expected.bitPattern, "\(value)")
        }
    }
    #endif
}
