package import Primitives

/// The dimensions of a made-up model of the llama architecture.
package struct ModelShape: Hashable, Sendable {
    package enum WeightType: Hashable, Sendable {
        case f16
        case f32

        var tensorType: TensorType {
            switch self {
            case .f16: .f16
            case .f32: .f32
            }
        }
    }

    package var layerCount: Int
    package var embeddingLength: Int
    package var headCount: Int
    package var keyValueHeadCount: Int
    package var feedForwardLength: Int
    package var vocabularySize: Int
    package var contextLength: Int
    package var weightType: WeightType

    package init(
        layerCount: Int,
        embeddingLength: Int,
        headCount: Int,
        keyValueHeadCount: Int,
        feedForwardLength: Int,
        vocabularySize: Int,
        contextLength: Int = 4096,
        weightType: WeightType = .f16
    ) {
        self.layerCount = layerCount
        self.embeddingLength = embeddingLength
        self.headCount = headCount
        self.keyValueHeadCount = keyValueHeadCount
        self.feedForwardLength = feedForwardLength
        self.vocabularySize = vocabularySize
        self.contextLength = contextLength
        self.weightType = weightType
    }

    /// About 14 MB in 8 layers: loads at once, and shows how layers spread over workers.
    package static let tiny = ModelShape(
        layerCount: 8,
        embeddingLength: 256,
        headCount: 8,
        keyValueHeadCount: 4,
        feedForwardLength: 512,
        vocabularySize: 4096
    )

    package static let smallestByteCount = ByteCount(600_000)
    package static let byteCountLimit = ByteCount(4 << 30)

    /// A shape whose file is about as large as wished, to a few percent, within the bounds above.
    ///
    /// Width and vocabulary grow with the size, so that there are at most 24 layers, and enough
    /// of them that each is a small part of the whole.
    package init(near byteCount: ByteCount) {
        let target = min(max(byteCount, Self.smallestByteCount), Self.byteCountLimit).bytes
        var width = 64
        while true {
            let one = Self.candidate(width: width, layerCount: 1).dataByteCount
            let perLayer = Self.candidate(width: width, layerCount: 2).dataByteCount - one
            let more = target > one ? (target - one + perLayer / 2) / perLayer : 0
            if more < 24 {
                self = Self.candidate(width: width, layerCount: Int(more) + 1)
                return
            }
            width += 64
        }
    }

    private static func candidate(width: Int, layerCount: Int) -> ModelShape {
        ModelShape(
            layerCount: layerCount,
            embeddingLength: width,
            headCount: width / 32,
            keyValueHeadCount: width / 64,
            feedForwardLength: width * 2,
            vocabularySize: min(max(width * 16, 1024), 32000)
        )
    }
}

/// A shape that no model can have; the numbers say why.
package enum ModelShapeError: Error, Equatable {
    case outOfRange(String, value: Int, limits: ClosedRange<Int>)
    /// Heads share the embedding, and queries share the key-value heads, in equal parts.
    case notDivisible(String, value: Int, by: Int)
}

extension ModelShapeError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .outOfRange(let what, let value, let limits):
            "\(what) is \(value), expected \(limits.lowerBound) to \(limits.upperBound)"
        case .notDivisible(let what, let value, let divisor):
            "\(what) is \(value), expected a multiple of \(divisor)"
        }
    }
}

extension ModelShape {
    /// The length of a head's key and of its value.
    package var headLength: Int { embeddingLength / headCount }

    package func validate() throws(ModelShapeError) {
        try Self.check("layer count", layerCount, 1...ModelFacts.layerCountLimit)
        try Self.check("embedding length", embeddingLength, 32...16384)
        try Self.check("head count", headCount, 1...512)
        try Self.check("key-value head count", keyValueHeadCount, 1...headCount)
        try Self.check("feed-forward length", feedForwardLength, 32...65536)
        let vocabularySizes = Vocabulary.smallestCount...Vocabulary.countLimit
        try Self.check("vocabulary size", vocabularySize, vocabularySizes)
        try Self.check("context length", contextLength, 64...1 << 20)
        // RoPE turns pairs of numbers, and ggml's kernels are at their best with whole 32s.
        try Self.check("embedding length", embeddingLength, multipleOf: 32)
        try Self.check("embedding length", embeddingLength, multipleOf: headCount * 2)
        try Self.check("feed-forward length", feedForwardLength, multipleOf: 32)
        try Self.check("head count", headCount, multipleOf: keyValueHeadCount)
    }

    private static func check(
        _ what: String,
        _ value: Int,
        _ limits: ClosedRange<Int>
    ) throws(ModelShapeError) {
        guard limits ~= value else {
            throw .outOfRange(what, value: value, limits: limits)
        }
    }

    private static func check(
        _ what: String,
        _ value: Int,
        multipleOf divisor: Int
    ) throws(ModelShapeError) {
        guard value % divisor == 0 else { throw .notDivisible(what, value: value, by: divisor) }
    }

    /// The weights of the file, without its header.
    private var dataByteCount: UInt64 {
        let size = UInt64(weightType.tensorType.block.byteCount)
        let (width, layers) = (UInt64(embeddingLength), UInt64(layerCount))
        let keyValueWidth = UInt64(headLength * keyValueHeadCount)
        let attention = 2 * width * (width + keyValueWidth)
        let feedForward = 3 * width * UInt64(feedForwardLength)
        let embeddings = 2 * width * UInt64(vocabularySize)
        let norms = (2 * layers + 1) * width * 4
        return layers * (attention + feedForward) * size + embeddings * size + norms
    }
}
