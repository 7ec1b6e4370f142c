import GGUF
import Primitives

/// Reads a header from memory, as a file of `byteCount` bytes of which only these are there.
func header(
    of bytes: [UInt8],
    byteCount: UInt64? = nil,
    limits: GGUFReader.Limits = GGUFReader.Limits()
) throws(GGUFError) -> GGUFFile {
    try GGUFReader(limits: limits).readHeader(
        byteCount: byteCount ?? UInt64(bytes.count)
    ) { offset, count throws(GGUFError) in
        let start = min(Int(offset), bytes.count)
        return [UInt8](bytes[start..<min(start + count, bytes.count)])
    }
}

extension RandomModel {
    /// The whole file; only for small shapes.
    var bytes: [UInt8] {
        var bytes: [UInt8] = []
        write { span in bytes += [UInt8](copying: span) }
        return bytes
    }
}

extension ModelShape {
    static let smallest = ModelShape(
        layerCount: 2,
        embeddingLength: 32,
        headCount: 2,
        keyValueHeadCount: 1,
        feedForwardLength: 32,
        vocabularySize: 512,
        contextLength: 64
    )
}

extension GGUFHeader {
    /// A header with a value of every type, and everything that `ModelFacts` asks for.
    static func sample() throws -> GGUFHeader {
        var header = GGUFHeader()
        header.add("general.architecture", .string("llama"))
        header.add("a", .uint8(200))
        header.add("b", .int8(-1))
        header.add("c", .uint16(65535))
        header.add("d", .int16(-2))
        header.add("e", .float32(1.5))
        header.add("f", .boolean(true))
        header.add("g", .uint64(1 << 40))
        header.add("h", .int64(-3))
        header.add("i", .float64(0.25))
        header.add("j", .array(GGUFArray(.int32, [.int32(1), .int32(-1)])))
        header.add("llama.block_count", .uint32(2))
        header.add("llama.context_length", .int32(64))
        header.add("llama.embedding_length", .uint32(32))
        header.add("llama.attention.head_count", .uint32(4))
        header.add(
            "llama.attention.head_count_kv",
            .array(GGUFArray(.uint32, [.uint32(2), .uint32(1)]))
        )
        let words: [GGUFValue] = [.string("<s>"), .string("the"), .string("größe")]
        header.add("tokenizer.ggml.tokens", .array(GGUFArray(.string, words)))
        try header.addTensor("token_embd.weight", dimensions: [32, 3], type: .f16)
        try header.addTensor("blk.0.attn_q.weight", dimensions: [32, 32], type: .q8_0)
        try header.addTensor("blk.1.attn_norm.weight", dimensions: [31], type: .f32)
        try header.addTensor("output_norm.weight", dimensions: [32], type: .f32)
        return header
    }

    func file() -> [UInt8] {
        encoded() + Array(repeating: 0, count: Int(dataByteCount))
    }
}
