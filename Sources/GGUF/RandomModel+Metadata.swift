extension GGUFHeader {
    mutating func addTensor(_ tensor: PlannedTensor) {
        let dimensions = [UInt64(tensor.rowLength), UInt64(tensor.rowCount)]
        do throws(GGUFError) {
            try addTensor(
                tensor.name,
                dimensions: tensor.role == .norm ? [dimensions[0]] : dimensions,
                type: tensor.type
            )
        } catch {
            preconditionFailure("a valid shape gives valid tensors: \(error)")
        }
    }

    /// The keys that llama.cpp asks of a llama model, and a chat template.
    mutating func addMetadata(_ shape: ModelShape, _ vocabulary: Vocabulary, name: String) {
        add("general.architecture", .string("llama"))
        add("general.type", .string("model"))
        add("general.name", .string(name))
        // LLAMA_FTYPE_ALL_F32 and LLAMA_FTYPE_MOSTLY_F16 of `llama.h`.
        add("general.file_type", .uint32(shape.weightType == .f32 ? 0 : 1))
        add("llama.block_count", .uint32(UInt32(shape.layerCount)))
        add("llama.context_length", .uint32(UInt32(shape.contextLength)))
        add("llama.embedding_length", .uint32(UInt32(shape.embeddingLength)))
        add("llama.feed_forward_length", .uint32(UInt32(shape.feedForwardLength)))
        add("llama.attention.head_count", .uint32(UInt32(shape.headCount)))
        add("llama.attention.head_count_kv", .uint32(UInt32(shape.keyValueHeadCount)))
        add("llama.attention.layer_norm_rms_epsilon", .float32(1e-5))
        add("llama.rope.dimension_count", .uint32(UInt32(shape.headLength)))
        add("llama.vocab_size", .uint32(UInt32(shape.vocabularySize)))
        addTokenizer(vocabulary)
    }

    private mutating func addTokenizer(_ vocabulary: Vocabulary) {
        let pieces = vocabulary.pieces
        add("tokenizer.ggml.model", .string("llama"))
        add("tokenizer.ggml.pre", .string("default"))
        add("tokenizer.ggml.tokens", .array(GGUFArray(.string, pieces.map { .string($0.text) })))
        // Of two possible merges SPM takes the one with the higher score: the longer piece.
        let scores = pieces.map { GGUFValue.float32(Float($0.text.utf8.count)) }
        add("tokenizer.ggml.scores", .array(GGUFArray(.float32, scores)))
        let kinds = pieces.map { GGUFValue.int32($0.kind.rawValue) }
        add("tokenizer.ggml.token_type", .array(GGUFArray(.int32, kinds)))
        add("tokenizer.ggml.bos_token_id", .uint32(Vocabulary.beginID))
        add("tokenizer.ggml.eos_token_id", .uint32(Vocabulary.endID))
        add("tokenizer.ggml.eot_token_id", .uint32(Vocabulary.turnEndID))
        add("tokenizer.ggml.unknown_token_id", .uint32(Vocabulary.unknownID))
        add("tokenizer.ggml.add_bos_token", .boolean(true))
        add("tokenizer.ggml.add_eos_token", .boolean(false))
        add("tokenizer.ggml.add_space_prefix", .boolean(true))
        add("tokenizer.chat_template", .string(Self.chatTemplate))
    }

    /// ChatML, which llama.cpp knows with and without its Jinja engine.
    private static let chatTemplate =
        "{% for message in messages %}"
        + "{{ '<|im_start|>' + message['role'] + '\\n' + message['content'] + '<|im_end|>' + '\\n' }}"
        + "{% endfor %}"
        + "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}"
}
