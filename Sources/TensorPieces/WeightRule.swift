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
        var offset: UInt64
    }

    /// Whether a payload of this size can carry weights that are worth a name.
    static func mayTakePart(payloadByteCount: UInt64) -> Bool {
        payloadByteCount >= UInt64(headByteCount + PieceLimits.tensorByteMinimum)
    }

    /// Where the data are; nil if these are no weights.
    ///
    /// A wrong answer spoils nothing: wherever the cuts are, the same bytes arrive.
    static func place(head: [UInt8], payloadByteCount: UInt64) -> Place? {
        guard head.count == headByteCount, isWeight(name: head[nameRange]) else { return nil }
        let older = Place(
            headByteCount: tensorByteCount + 8,
            offset: number(head[tensorByteCount..<(tensorByteCount + 8)])
        )
        // Before protocol 8 there was no flag: then the size tells.
        let tensorByteCount = number(head[lengthRange]) * number(head[strideRange])
        if older.offset == 0,
            payloadByteCount - UInt64(older.headByteCount) == tensorByteCount
        {
            return older
        }
        return Place(
            headByteCount: headByteCount,
            offset: number(head[(Self.tensorByteCount + 1)...])
        )
    }

    private static func number(_ bytes: ArraySlice<UInt8>) -> UInt64 {
        bytes.reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    /// `blk.0.attn_q.weight`, but not `RPC0#inp_embd#0` or `cache_k_l0 (view)`.
    static func isWeight(name padded: ArraySlice<UInt8>) -> Bool {
        guard let end = padded.firstIndex(of: 0), end > padded.startIndex,
            padded[end...].allSatisfy({ $0 == 0 })
        else { return false }
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
        guard isPlain else { return false }
        let text = String(decoding: name, as: UTF8.self)
        return text.hasPrefix("blk.") || text.hasSuffix(".weight") || text.hasSuffix(".bias")
    }
}
