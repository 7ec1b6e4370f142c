import GGUF
import Primitives
import Testing

struct ModelFactsTests {
    private func facts(_ change: (inout GGUFHeader) throws -> Void = { _ in }) throws -> ModelFacts
    {
        var sample = try GGUFHeader.sample()
        try change(&sample)
        return try ModelFacts(try header(of: sample.file()))
    }

    @Test func `the facts of a model with tied weights`() throws {
        let facts = try facts()
        #expect(facts.architecture == "llama")
        #expect(facts.name.isEmpty)
        #expect(facts.layerCount == 2)
        #expect(facts.embeddingLength == 32)
        #expect(facts.headCount == 4)
        #expect(facts.keyValueHeadCounts == [2, 1])
        #expect(facts.keyLength == 8)
        #expect(facts.valueLength == 8)
        #expect(facts.contextLength == 64)
        #expect(facts.vocabularySize == 3)
        #expect(!facts.hasChatTemplate)
        #expect(facts.layerByteCounts == [ByteCount(1088), ByteCount(124)])
        #expect(facts.hasTiedOutput)
        #expect(facts.tokenEmbeddingByteCount == ByteCount(192))
        #expect(facts.outputByteCount == ByteCount(192 + 128))
        #expect(facts.workerByteCount == ByteCount(1088 + 124 + 192 + 128))
    }

    @Test func `an output of its own replaces the copy of the embedding`() throws {
        let facts = try facts { header in
            try header.addTensor("output.weight", dimensions: [32, 4], type: .f16)
            try header.addTensor("rope_freqs.weight", dimensions: [4], type: .f32)
            header.add("tokenizer.chat_template", .string("{{ messages }}"))
            header.add("llama.attention.key_length", .uint32(64))
        }
        #expect(!facts.hasTiedOutput)
        #expect(facts.outputByteCount == ByteCount(256 + 128))
        #expect(facts.otherByteCount == ByteCount(16))
        #expect(facts.hasChatTemplate)
        #expect(facts.keyLength == 64)
        #expect(facts.valueLength == 8)
    }

    @Test func `the facts of a made-up model are those of its shape`() throws {
        let model = try RandomModel(shape: .smallest)
        let facts = try ModelFacts(try header(of: model.bytes))
        #expect(facts.name == "Caravan random words")
        #expect(facts.layerCount == 2)
        #expect(facts.feedForwardLength == 32)
        #expect(facts.keyValueHeadCounts == [1, 1])
        #expect(facts.vocabularySize == 512)
        #expect(facts.hasChatTemplate)
        #expect(facts.fileByteCount == ByteCount(model.byteCount))
        #expect(!facts.hasTiedOutput)
    }

    @Test func `missing facts are named`() throws {
        let empty = try header(of: GGUFHeader().encoded())
        #expect(throws: GGUFError.missingKey("general.architecture")) { try ModelFacts(empty) }
        var bare = GGUFHeader()
        bare.add("general.architecture", .string("qwen3"))
        let bareFile = try header(of: bare.encoded())
        #expect(throws: GGUFError.missingKey("qwen3.block_count")) { try ModelFacts(bareFile) }
        bare.add("qwen3.block_count", .string("many"))
        let wrongFile = try header(of: bare.encoded())
        #expect(throws: GGUFError.wrongValueType(key: "qwen3.block_count")) {
            try ModelFacts(wrongFile)
        }
    }

    @Test func `impossible facts are refused`() throws {
        var header513 = GGUFHeader()
        header513.add("general.architecture", .string("x"))
        header513.add("x.block_count", .uint32(513))
        let file = try header(of: header513.encoded())
        #expect(throws: GGUFError.valueOutOfRange(key: "x.block_count", value: 513, limit: 512)) {
            try ModelFacts(file)
        }
        #expect(
            throws: GGUFError.layerOutOfRange(layer: 2, layerCount: 2, tensor: "blk.2.x.weight")
        ) {
            try facts { try $0.addTensor("blk.2.x.weight", dimensions: [32], type: .f32) }
        }
        #expect(throws: GGUFError.splitModel(fileCount: 3)) {
            try facts { $0.add("split.count", .uint16(3)) }
        }
    }
}
