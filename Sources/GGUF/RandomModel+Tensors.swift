import Primitives

/// A tensor of a made-up model, and how its weights are drawn.
struct PlannedTensor: Sendable {
    enum Role: Sendable {
        /// All ones.
        case norm
        case matrix
        /// As a matrix, but with zero rows for tokens that shall not be chosen.
        case output
    }

    let name: String
    let rowLength: Int
    let rowCount: Int
    let type: TensorType
    let role: Role
    /// The standard deviation of the weights.
    let deviation: Float

    /// The gains found by trying: greedy output neither runs in circles nor hangs on a hair.
    ///
    /// A matrix with deviation g / √n turns numbers of size 1 into numbers of size g. Large
    /// contributions of the layers, against a small embedding, let the next word depend on many
    /// before it (of 300 greedy words about 220 differ). Sharper attention (gains of 2 for queries
    /// and keys) varies a little more, but then another number of threads, whose sums round
    /// differently, changes the text after some 250 words; so it seldom does.
    private enum Gain {
        static let embedding: Float = 0.5
        static let query: Float = 1
        static let key: Float = 1
        static let value: Float = 1
        static let attentionOutput: Float = 1
        static let gate: Float = 2
        static let up: Float = 1
        static let down: Float = 1
        static let logits: Float = 4
    }

    /// All tensors, in the order of the file.
    static func all(_ shape: ModelShape) -> [PlannedTensor] {
        let width = shape.embeddingLength
        let keyValueWidth = shape.headLength * shape.keyValueHeadCount
        let hidden = shape.feedForwardLength
        let words = shape.vocabularySize
        func matrix(
            _ name: String,
            _ input: Int,
            _ output: Int,
            _ gain: Float,
            role: Role = .matrix
        ) -> PlannedTensor {
            PlannedTensor(
                name: name + ".weight",
                rowLength: input,
                rowCount: output,
                type: shape.weightType.tensorType,
                role: role,
                deviation: gain / Float(input).squareRoot()
            )
        }
        func norm(_ name: String) -> PlannedTensor {
            PlannedTensor(
                name: name + ".weight",
                rowLength: width,
                rowCount: 1,
                type: .f32,
                role: .norm,
                deviation: 0
            )
        }
        // An embedding is looked up, not multiplied: its numbers are used as they are.
        let embeddingGain = Gain.embedding * Float(width).squareRoot()
        var tensors = [matrix("token_embd", width, words, embeddingGain)]
        for layer in 0..<shape.layerCount {
            let prefix = "blk.\(layer)."
            tensors += [
                norm(prefix + "attn_norm"),
                matrix(prefix + "attn_q", width, width, Gain.query),
                matrix(prefix + "attn_k", width, keyValueWidth, Gain.key),
                matrix(prefix + "attn_v", width, keyValueWidth, Gain.value),
                matrix(prefix + "attn_output", width, width, Gain.attentionOutput),
                norm(prefix + "ffn_norm"),
                matrix(prefix + "ffn_gate", width, hidden, Gain.gate),
                matrix(prefix + "ffn_up", width, hidden, Gain.up),
                matrix(prefix + "ffn_down", hidden, width, Gain.down),
            ]
        }
        tensors.append(norm("output_norm"))
        tensors.append(matrix("output", width, words, Gain.logits, role: .output))
        return tensors
    }
}

/// The 256 values that the weights of a tensor take, as bytes of the file.
///
/// Evenly spaced with the wished deviation. A table makes drawing weights quick, and only uses
/// arithmetic whose results are the same everywhere.
struct WeightLevels {
    private let halves: [UInt16]
    private let singles: [UInt32]
    private let isHalf: Bool

    init(_ tensor: PlannedTensor) {
        let values = (0..<256).map { level -> Float in
            switch tensor.role {
            case .norm: 1
            case .matrix, .output:
                (Float(level) - 127.5) / 127.5 * tensor.deviation * Float(3).squareRoot()
            }
        }
        isHalf = tensor.type == .f16
        halves = values.map(halfPrecisionBits)
        singles = values.map(\.bitPattern)
    }

    func append(_ level: Int, to bytes: inout [UInt8]) {
        if isHalf {
            let half = halves[level]
            bytes.append(UInt8(truncatingIfNeeded: half))
            bytes.append(UInt8(truncatingIfNeeded: half >> 8))
        } else {
            bytes.append(littleEndian: singles[level])
        }
    }

    func byteCount(_ numberCount: Int) -> Int {
        numberCount * (isHalf ? 2 : 4)
    }

    /// The zeros between a tensor and the next.
    func padding(_ tensor: PlannedTensor) -> Int {
        let byteCount = UInt64(byteCount(tensor.rowLength * tensor.rowCount))
        return Int(GGUFHeader.padded(byteCount) - byteCount)
    }
}

/// The IEEE 754 half nearest to a float, ties to even; too small ones become zero.
///
/// `Float16` would do the same, but Swift has none on Intel Macs.
package func halfPrecisionBits(_ value: Float) -> UInt16 {
    let bits = value.bitPattern
    let sign = UInt16(truncatingIfNeeded: bits >> 16) & 0x8000
    let magnitude = bits & 0x7FFF_FFFF
    guard magnitude < 0x4780_0000 else { return sign | 0x7C00 }
    guard magnitude >= 0x3880_0000 else {
        // Subnormal halves are multiples of 2^-24.
        let steps = (Float(bitPattern: magnitude) * 0x1p24).rounded(.toNearestOrEven)
        return sign | UInt16(steps)
    }
    let rebiased = magnitude - 0x3800_0000
    let rounded = rebiased + 0x0FFF + (rebiased >> 13 & 1)
    return sign | UInt16(truncatingIfNeeded: rounded >> 13)
}
