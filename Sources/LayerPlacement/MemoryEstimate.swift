package import GGUF
package import Primitives

/// How the engine will be started, as far as it decides about memory.
package struct EngineMemorySettings: Hashable, Sendable {
    /// Tokens of context over all slots (`-c`).
    package var contextLength: Int
    /// Requests served at once (`--parallel`); they share the context in equal parts.
    package var slotCount: Int
    /// Tokens of a prompt computed at once (`-ub`).
    package var microBatchLength: Int
    /// llama.cpp's default (`-fa auto`) turns flash attention on for workers on CPUs.
    package var usesFlashAttention: Bool

    package init(
        contextLength: Int,
        slotCount: Int = 1,
        microBatchLength: Int = 512,
        usesFlashAttention: Bool = true
    ) {
        precondition(1...1 << 30 ~= contextLength, "a context of tokens")
        precondition(1...4096 ~= slotCount, "at least one slot")
        precondition(1...65536 ~= microBatchLength, "at least one token at once")
        self.contextLength = contextLength
        self.slotCount = slotCount
        self.microBatchLength = microBatchLength
        self.usesFlashAttention = usesFlashAttention
    }

    /// The tokens that the KV cache has room for: each slot's part is padded to 256.
    package var cellCount: Int {
        let perSlot = (contextLength + slotCount - 1) / slotCount
        return (perSlot + 255) / 256 * 256 * slotCount
    }
}

/// What one device needs, by purpose.
package struct MemoryEstimate: Hashable, Sendable {
    /// Weights of its layers, and of the output if it holds it: exact.
    package var weights: ByteCount
    /// Keys and values of the context, 16 bits each: exact for plain attention.
    package var cache: ByteCount
    /// Buffers for what is being computed: an upper bound, see `MemoryDemand`.
    package var compute: ByteCount
    /// The RPC server itself.
    package var process: ByteCount

    package var total: ByteCount { weights + cache + compute + process }
}

/// What a model demands of each device, depending on the layers that the device holds.
///
/// Compared with llama.cpp 0.7.0's `model`, `KV` and `compute buffer size` over models of 1 to
/// 590 MB, micro-batches of 64 and 512 and contexts of 512 to 8192: weights and cache equal to
/// the printed decimals; compute never below and at most 25 % above on devices with several
/// layers (more with one layer, and far more with the output alone). A device needs for a
/// micro-batch of T tokens:
///
///     T · 128                                                  positions and the like
///     T · (3 · feedForwardLength + 7 · embeddingLength) · 4    activations
///     T · 9 · embeddingLength · 4                              on the first device, more of them
///     T · cells · 8                                            the attention mask
///     T · cells · (16 + 4 · heads)                             instead, without flash attention
///
/// It overestimates layers with a sliding window or latent attention (which cache less), and
/// underestimates the computing of mixtures of experts and of more than a few outputs at once.
package struct MemoryDemand: Sendable {
    /// A `ggml-rpc-server` without a client has 12 MB resident.
    package static let processByteCount = ByteCount(16 << 20)

    package let layerCount: Int

    private let settings: EngineMemorySettings
    private let embeddingLength: UInt64
    private let feedForwardLength: UInt64
    private let headCount: UInt64
    /// Sums over all units before each, so that a range is one subtraction.
    private let weightsBefore: [ByteCount]
    private let cacheBefore: [ByteCount]

    package init(_ facts: ModelFacts, settings: EngineMemorySettings) {
        layerCount = facts.layerCount
        self.settings = settings
        embeddingLength = UInt64(facts.embeddingLength)
        feedForwardLength = UInt64(facts.feedForwardLength)
        headCount = UInt64(facts.headCount)
        let cells = UInt64(settings.cellCount)
        var weights = [ByteCount.zero]
        var cache = [ByteCount.zero]
        var weightSum = ByteCount.zero
        var cacheSum = ByteCount.zero
        for layer in 0..<facts.layerCount {
            weightSum = weightSum + facts.layerByteCounts[layer]
            // At most 2^16 heads, 2^17 numbers, 2^42 cells: saturates instead of overflowing.
            let heads = ByteCount(UInt64(facts.keyValueHeadCounts[layer]))
            let numbers = UInt64(facts.keyLength + facts.valueLength) * 2
            cacheSum = cacheSum + heads.scaled(by: numbers).scaled(by: cells)
            weights.append(weightSum)
            cache.append(cacheSum)
        }
        weights.append(weightSum + facts.outputByteCount)
        cache.append(cacheSum)
        weightsBefore = weights
        cacheBefore = cache
    }

    /// What a device that holds the range needs; nothing when it holds nothing.
    package func estimate(of range: LayerRange) -> MemoryEstimate {
        precondition(range.layerCount == layerCount, "a range of another model")
        guard !range.units.isEmpty else {
            return MemoryEstimate(weights: .zero, cache: .zero, compute: .zero, process: .zero)
        }
        let (start, end) = (range.units.lowerBound, range.units.upperBound)
        return MemoryEstimate(
            weights: weightsBefore[end] - weightsBefore[start],
            cache: cacheBefore[end] - cacheBefore[start],
            compute: computeByteCount(isFirst: start == 0),
            process: Self.processByteCount
        )
    }

    package func byteCount(of range: LayerRange) -> ByteCount {
        estimate(of: range).total
    }

    /// What so many devices need together, at least.
    package func totalByteCount(deviceCount: Int) -> ByteCount {
        let units = 0..<layerCount + 1
        let everything = estimate(of: LayerRange(units: units, layerCount: layerCount))
        return (1..<max(deviceCount, 1)).reduce(everything.total) { sum, _ in
            sum + computeByteCount(isFirst: false) + Self.processByteCount
        }
    }

    private func computeByteCount(isFirst: Bool) -> ByteCount {
        let activations =
            3 * feedForwardLength + (isFirst ? 16 : 7) * embeddingLength
        let mask = settings.usesFlashAttention ? 8 : 16 + 4 * headCount
        let maskPerToken = ByteCount(UInt64(settings.cellCount)).scaled(by: mask)
        return (ByteCount(activations * 4 + 128) + maskPerToken)
            .scaled(by: UInt64(settings.microBatchLength))
    }
}

extension ByteCount {
    /// The product, or the largest value there is.
    fileprivate func scaled(by factor: UInt64) -> ByteCount {
        let (product, overflow) = bytes.multipliedReportingOverflow(by: factor)
        return ByteCount(overflow ? .max : product)
    }
}
