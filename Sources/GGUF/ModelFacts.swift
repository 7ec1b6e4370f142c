package import Primitives

/// What placing a model's layers and starting an engine need to know of it.
package struct ModelFacts: Equatable, Sendable {
    package static let layerCountLimit = 512

    package let architecture: String
    /// Empty when the file names none.
    package let name: String
    package let layerCount: Int
    package let embeddingLength: Int
    package let headCount: Int
    /// One number a layer, as a few architectures differ from layer to layer.
    package let keyValueHeadCounts: [Int]
    package let keyLength: Int
    package let valueLength: Int
    package let feedForwardLength: Int
    /// The context that the model was trained with, in tokens.
    package let contextLength: Int
    package let vocabularySize: Int
    package let hasChatTemplate: Bool

    package let fileByteCount: ByteCount
    /// The weights of each layer (`blk.i.*`).
    package let layerByteCounts: [ByteCount]
    /// The output layer (`output*`); for tied weights a second copy of the token embedding.
    package let outputByteCount: ByteCount
    package let hasTiedOutput: Bool
    /// What stays with the master (`token_embd*` and the like).
    package let tokenEmbeddingByteCount: ByteCount
    /// Tensors of no layer, such as `rope_freqs`; small.
    package let otherByteCount: ByteCount

    /// The sum of all layers and the output, which is what the workers hold together.
    package var workerByteCount: ByteCount {
        layerByteCounts.reduce(outputByteCount, +)
    }
}

extension ModelFacts {
    /// Collects the facts, or says which of them is missing.
    package init(_ file: GGUFFile) throws(GGUFError) {
        if let fileCount = file["split.count"]?.unsignedInteger, fileCount > 1 {
            throw .splitModel(fileCount: fileCount)
        }
        guard let architecture = try file.text("general.architecture") else {
            throw .missingKey("general.architecture")
        }
        self.architecture = architecture
        name = try file.text("general.name") ?? ""
        func number(_ key: String, limit: Int, otherwise: Int? = nil) throws(GGUFError) -> Int {
            let key = architecture + "." + key
            if let value = try file.number(key, limit: limit) ?? otherwise { return value }
            throw .missingKey(key)
        }
        layerCount = try number("block_count", limit: Self.layerCountLimit)
        embeddingLength = try number("embedding_length", limit: 1 << 20)
        contextLength = try number("context_length", limit: 1 << 30)
        let headCounts = try file.layerNumbers(
            architecture + ".attention.head_count",
            layerCount: layerCount,
            limit: 1 << 16
        )
        guard let headCounts, let headCount = headCounts.max(), headCount > 0 else {
            throw .missingKey(architecture + ".attention.head_count")
        }
        self.headCount = headCount
        keyValueHeadCounts =
            try file.layerNumbers(
                architecture + ".attention.head_count_kv",
                layerCount: layerCount,
                limit: 1 << 16
            ) ?? headCounts
        let headLength = embeddingLength / headCount
        keyLength = try number("attention.key_length", limit: 1 << 16, otherwise: headLength)
        valueLength = try number("attention.value_length", limit: 1 << 16, otherwise: headLength)
        // Absent in models of experts only; an array in a few: the largest counts.
        feedForwardLength =
            try file.layerNumbers(
                architecture + ".feed_forward_length",
                layerCount: layerCount,
                limit: 1 << 22
            )?.max() ?? 0

        guard let embedding = file.tensor(named: "token_embd.weight") else {
            throw .missingTensor("token_embd.weight")
        }
        vocabularySize =
            file["tokenizer.ggml.tokens"]?.array?.count
            ?? Int(clamping: embedding.dimensions.dropFirst().first ?? 0)
        hasChatTemplate = file["tokenizer.chat_template"]?.text?.isEmpty == false

        let sums = try TensorSums(file.tensors, layerCount: layerCount)
        fileByteCount = ByteCount(file.byteCount)
        layerByteCounts = sums.layers
        hasTiedOutput = file.tensor(named: "output.weight") == nil
        outputByteCount =
            sums.output + (hasTiedOutput ? ByteCount(embedding.byteCount) : .zero)
        tokenEmbeddingByteCount = sums.input
        otherByteCount = sums.other
    }
}

extension GGUFFile {
    fileprivate func text(_ key: String) throws(GGUFError) -> String? {
        guard let value = self[key] else { return nil }
        guard let text = value.text else { throw .wrongValueType(key: key) }
        return text
    }

    /// An integer in `1...limit`, or nil when the key is not there.
    fileprivate func number(_ key: String, limit: Int) throws(GGUFError) -> Int? {
        guard let value = self[key] else { return nil }
        guard let number = value.unsignedInteger else { throw .wrongValueType(key: key) }
        guard number >= 1, number <= UInt64(limit) else {
            throw .valueOutOfRange(key: key, value: number, limit: UInt64(limit))
        }
        return Int(number)
    }

    /// One number for all layers, or one a layer (which may be 0: a layer without attention).
    fileprivate func layerNumbers(
        _ key: String,
        layerCount: Int,
        limit: Int
    ) throws(GGUFError) -> [Int]? {
        guard let array = self[key]?.array else {
            return try number(key, limit: limit).map { Array(repeating: $0, count: layerCount) }
        }
        guard let elements = array.elements, elements.count == layerCount else {
            throw .valueOutOfRange(
                key: key,
                value: UInt64(array.count),
                limit: UInt64(layerCount)
            )
        }
        var numbers: [Int] = []
        for element in elements {
            guard let number = element.unsignedInteger else { throw .wrongValueType(key: key) }
            guard number <= UInt64(limit) else {
                throw .valueOutOfRange(key: key, value: number, limit: UInt64(limit))
            }
            numbers.append(Int(number))
        }
        return numbers
    }
}

/// The bytes of the tensors, by the device that llama.cpp gives them to.
private struct TensorSums {
    var layers: [ByteCount]
    var output = ByteCount.zero
    var input = ByteCount.zero
    var other = ByteCount.zero

    init(_ tensors: [GGUFFile.Tensor], layerCount: Int) throws(GGUFError) {
        layers = Array(repeating: .zero, count: layerCount)
        for tensor in tensors {
            let byteCount = ByteCount(tensor.byteCount)
            let parts = tensor.name.split(separator: ".", maxSplits: 2)
            if parts.count == 3, parts[0] == "blk", let layer = UInt64(parts[1]) {
                guard layer < UInt64(layerCount) else {
                    throw .layerOutOfRange(
                        layer: layer,
                        layerCount: layerCount,
                        tensor: tensor.name
                    )
                }
                layers[Int(layer)] = layers[Int(layer)] + byteCount
            } else if tensor.name.hasPrefix("output") {
                output = output + byteCount
            } else if Self.inputPrefixes.contains(where: tensor.name.hasPrefix) {
                input = input + byteCount
            } else {
                other = other + byteCount
            }
        }
    }

    /// The tensors of llama.cpp's input layer, always on the CPU of the master.
    private static let inputPrefixes = [
        "token_embd", "token_types", "position_embd", "per_layer_token_embd",
    ]
}
