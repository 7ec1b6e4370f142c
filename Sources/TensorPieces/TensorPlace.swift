internal import LlamaRPC

/// Of which tensor some bytes are, and where in it.
package struct TensorPlace: Equatable, Sendable {
    package var name: String
    /// Of the whole tensor.
    package var byteCount: UInt64
    package var offset: UInt64

    package init(name: String, byteCount: UInt64, offset: UInt64) {
        self.name = name
        self.byteCount = byteCount
        self.offset = offset
    }
}

/// Follows what passes to an RPC server, to say of an announced piece of which tensor it is.
///
/// So a GGUF file need not be read to know what is in it: its header says where a tensor lies, and
/// whoever looks there checks what is found. A master that errs, or lies, gains nothing.
struct PlaceTracker: Sendable {
    private var requests = RPCFrameReader(.requests)
    /// Of the SET_TENSOR whose head is being collected.
    private var payloadByteCount: UInt64 = 0
    /// Where the payload's next byte belongs; nil if that is not in weights.
    private var next: TensorPlace?
    /// The weights are there, or what passes makes no sense.
    private var isOver = false

    /// The head of older servers ends here, and the first piece begins (`WeightRule`).
    private static let headByteCount = WeightRule.headByteCount - 1

    /// Takes bytes that pass as they are.
    mutating func pass(_ bytes: ArraySlice<UInt8>) {
        var rest = bytes
        do throws(RPCFramingError) {
            while !isOver, let event = try requests.next(&rest) { take(event) }
        } catch {
            end()
        }
    }

    private mutating func take(_ event: RPCFrameReader.Event) {
        switch event {
        case .begins(.request(let number, let byteCount)):
            next = nil
            switch RPCCommand(rawValue: number) {
            case .graphCompute, .graphRecompute: end()
            case .setTensor where WeightRule.mayTakePart(payloadByteCount: byteCount):
                payloadByteCount = byteCount
                requests.collect(prefixByteCount: Self.headByteCount)
            default: break
            }
        case .begins(.reply): break
        case .prefix(let head):
            let place = WeightRule.place(head: head, payloadByteCount: payloadByteCount)
            next = place?.tensor
            // What is left of the head counts as data that pass.
            next?.offset &-= UInt64((place?.headByteCount ?? head.count) - head.count)
        case .payload(let bytes): next?.offset &+= UInt64(bytes.count)
        case .ends: next = nil
        }
    }

    private mutating func end() {
        isOver = true
        next = nil
    }

    /// A piece that was announced stands for so many bytes: says where they belong.
    mutating func announced(byteCount: Int) -> TensorPlace? {
        guard !isOver, requests.skip(payloadByteCount: byteCount) else {
            end()
            return nil
        }
        defer { next?.offset &+= UInt64(byteCount) }
        return next
    }
}
