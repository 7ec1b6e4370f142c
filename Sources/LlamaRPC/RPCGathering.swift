/// Keeps small requests that only write tensors, until the request comes for which they were
/// written: they travel in one piece then.
///
/// Before each graph llama-server sets a handful of small tensors, one request each. Nobody waits
/// for them: what they write is seen by later requests of the same connection only, and before
/// any of those everything goes out. So nothing has to be sent after a while, either.
package struct RPCGathering: Sendable {
    /// More than this is never kept: weights pass as they come.
    package static let byteLimit = 32 << 10

    private var kept: [UInt8] = []
    private var mayWait = false

    package init() {}

    /// Whether something is kept, for which more will come soon.
    package var isKeeping: Bool { !kept.isEmpty }

    /// A request has begun, of which bytes are given to `add` next.
    ///
    /// - Parameter isJudged: whether it is known what the command does.
    package mutating func begins(_ command: UInt8, isJudged: Bool) {
        mayWait =
            switch RPCCommand(rawValue: command) {
            case .setTensor, .memsetTensor, .setTensor2D: isJudged
            default: false
            }
    }

    /// Takes bytes of the request that has begun, and appends what of everything goes out now.
    package mutating func add(_ bytes: ArraySlice<UInt8>, to out: inout [UInt8]) {
        if mayWait, kept.count + bytes.count <= Self.byteLimit {
            kept += bytes
            return
        }
        flush(to: &out)
        out += bytes
    }

    /// Appends what is kept.
    package mutating func flush(to out: inout [UInt8]) {
        guard !kept.isEmpty else { return }
        out += kept
        kept.removeAll(keepingCapacity: true)
    }
}
