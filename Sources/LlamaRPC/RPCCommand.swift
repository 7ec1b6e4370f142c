/// What a client asks of an RPC server (`ggml-rpc.cpp`).
package enum RPCCommand: UInt8, CaseIterable, Sendable {
    case allocBuffer = 0
    case getAlignment = 1
    case getMaxSize = 2
    case bufferGetBase = 3
    case freeBuffer = 4
    case bufferClear = 5
    case setTensor = 6
    case setTensorHash = 7
    case getTensor = 8
    case copyTensor = 9
    case graphCompute = 10
    case getDeviceMemory = 11
    case initTensor = 12
    case getAllocSize = 13
    /// The first of every connection; its number is fixed for ever.
    case hello = 14
    case deviceCount = 15
    case graphRecompute = 16
    case memsetTensor = 17
    case setTensor2D = 18
    case getTensor2D = 19

    /// Whether a server of the version answers the command.
    ///
    /// Nil where it is not known: then nothing that waits for an answer can be told from what
    /// does not. Known is what was measured or read of protocol 8; servers talk to each other
    /// after the commands from 20 on, and wait without computing.
    package static func isAnswered(_ command: UInt8, by version: RPCVersion?) -> Bool? {
        guard let command = RPCCommand(rawValue: command) else { return nil }
        if command == .hello { return true }
        guard version?.major == judgedMajor else { return nil }
        return switch command {
        case .freeBuffer, .bufferClear, .setTensor, .graphCompute, .initTensor, .graphRecompute,
            .memsetTensor, .setTensor2D:
            false
        case .allocBuffer, .getAlignment, .getMaxSize, .bufferGetBase, .setTensorHash,
            .getTensor, .copyTensor, .getDeviceMemory, .getAllocSize, .hello, .deviceCount,
            .getTensor2D:
            true
        }
    }

    /// The major version whose answers and layouts are known.
    package static let judgedMajor: UInt8 = 8
}
