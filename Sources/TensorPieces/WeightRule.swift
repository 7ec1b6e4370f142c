/// Which SET_TENSOR carries weights.
///
/// What users say must never be named or kept: inputs of a computation travel in the same
/// command. So a tensor counts as weights only if it is large enough, has the name of a model's
/// tensor, and no graph was computed on its connection before. (The flag of the server's cache is
/// no help: llama.cpp sets it for large tensors only.)
enum WeightRule {
    /// What is looked at: an `rpc_tensor`, in protocol 8 the flag of the server's own cache, and
    /// the u64 offset; the data follow (`ggml-rpc.cpp`).
    static let headByteCount = tensorByteCount + 9
    private static let tensorByteCount = 296
    private static let lengthRange = 32..<36
    private static let strideRange = 48..<52
    private static let nameRange = 228..<292

    /// Where the data of a SET_TENSOR are, in its payload and in the tensor.
    struct Place: Equatable {
        /// How much stands before the data.
        var headByteCount: Int
        var tensor: TensorPlace
    }

    /// Whether a payload of this size can carry weights that are worth a name.
    static func mayTakePart(payloadByteCount: UInt64) -> Bool {
        payloadByteCount >= UInt64(headByteCount + PieceLimits.tensorByteMinimum)
    }

    /// Where the data are; nil if these are no weights.
    ///
    /// A wrong answer spoils nothing: wherever the cuts are, the same bytes arrive.
    ///
    /// - Parameter head: a byte less will do: an offset of 2^56 does not occur.
    static func place(head: [UInt8], payloadByteCount: UInt64) -> Place? {
        guard head.count >= headByteCount - 1, let name = weightName(head[nameRange]) else {
            return nil
        }
        var tensor = TensorPlace(
            name: name,
            byteCount: number(head[lengthRange]) * number(head[strideRange]),
            offset: number(head[tensorByteCount..<(tensorByteCount + 8)])
        )
        // Before protocol 8 there was no flag: then the size tells.
        let olderByteCount = tensorByteCount + 8
        if tensor.offset == 0, payloadByteCount - UInt64(olderByteCount) == tensor.byteCount {
            return Place(headByteCount: olderByteCount, tensor: tensor)
        }
        tensor.offset = number(head[(tensorByteCount + 1)...].prefix(8))
        return Place(headByteCount: headByteCount, tensor: tensor)
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// `blk.0.attn_q.weight`, but not `RPC0#inp_embd#0` or `cache_k_l0 (view)`.
    static func isWeight(name padded: ArraySlice<UInt8>) -> Bool {
        weightName(padded) != nil
    }

    private static func weightName(_ padded: ArraySlice<UInt8>) -> String? {
        guard let end = padded.firstIndex(of: 0), end > padded.startIndex,
            padded[end...].allSatisfy({ $0 == 0 })
        else { return nil }
        let name = padded[..<end]
        let isPlain = name.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "-"):
                true
            default: false
            }
        }
        guard isPlain else { return nil }
        let text = String(decoding: name, as: UTF8.self)
        let isWeight =
            text.hasPrefix("blk.") || text.hasSuffix(".weight") || text.hasSuffix(".bias")
        return isWeight ? text : nil
    }
}
