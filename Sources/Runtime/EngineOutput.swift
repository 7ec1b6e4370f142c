import LayerPlacement
import LlamaEngine
import Primitives

// What llama.cpp's programs say, as events of ours. Lines that mean nothing to us are dropped:
// they hold what users write.

extension LlamaServerObservation {
    /// Nil for what the launch need not know.
    var serverEvent: ServerEvent? {
        switch self {
        case .deviceFound: .handshakes
        case .loadingStarted: .loads(nil)
        case .layerAssigned(let layer, let device):
            .assigned(layer: UInt16(clamping: layer), device: device.number)
        case .buffer(.weights, let device, let bytes): .placed(device: device.number, bytes)
        case .modelLoaded: .loaded
        // What was the matter is said first; what follows from it comes after.
        case .failed(let failure):
            failure.isConsequence
                ? nil
                : failure.blamesModel
                    ? .rejected(failure.description) : .complained(failure.description)
        case .buffer, .layersOffloaded, .listening: nil
        }
    }

    /// The reference document's words for phases 4 to 6; nil for what is told otherwise.
    var record: LogRecord? {
        switch self {
        case .deviceFound(let index, let endpoint):
            LogRecord(
                "engine.server.deviceFound",
                .debug,
                "RPC\(index) is \(endpoint)",
                ["device": .text("RPC\(index)"), "endpoint": .text(endpoint)]
            )
        case .loadingStarted:
            LogRecord("engine.server.loading", .debug, "llama-server loads the model")
        case .layerAssigned(let layer, let device):
            LogRecord(
                "engine.server.layer",
                .info,
                "load_tensors: layer \(layer) assigned to device \(device)",
                ["layer": .integer(Int64(layer)), "device": .text("\(device)")]
            )
        case .layersOffloaded(let count, let total):
            LogRecord(
                "engine.server.offloaded",
                .info,
                "load_tensors: offloaded \(count)/\(total) layers",
                ["layers": .integer(Int64(count)), "total": .integer(Int64(total))]
            )
        case .buffer(let buffer, let device, let bytes):
            LogRecord(
                "engine.server.buffer",
                .info,
                "\(device) \(buffer) buffer size = \(bytes)",
                [
                    "buffer": .text("\(buffer)"), "device": .text("\(device)"),
                    "bytes": .integer(Int64(clamping: bytes.bytes)),
                ]
            )
        case .modelLoaded: LogRecord("engine.server.loaded", .info, "main: model loaded")
        case .listening(let url):
            LogRecord(
                "engine.server.listening",
                .info,
                "server is listening on \(url)",
                ["url": .text(url)]
            )
        case .failed(let failure):
            LogRecord(
                "engine.server.failed",
                .warning,
                "llama-server says: \(failure)",
                ["reason": .text(failure.description)]
            )
        }
    }
}

extension LlamaDevice {
    /// llama.cpp's number of an RPC device; nil for the master's own memory.
    fileprivate var number: UInt8? {
        switch self {
        case .worker(let index): UInt8(clamping: index)
        case .local: nil
        }
    }
}

extension RPCServerObservation {
    /// Nil for what comes with every token.
    var record: LogRecord? {
        switch self {
        case .starting(let version):
            LogRecord(
                "engine.rpc.starting",
                .info,
                "Starting RPC server v\(version)",
                ["version": .text("\(version)")]
            )
        case .device(let name, let description, let total):
            LogRecord(
                "engine.rpc.device",
                .info,
                "\(name): \(description)",
                ["device": .text(name), "bytes": .integer(Int64(clamping: total.bytes))]
            )
        case .clientConnected:
            LogRecord("engine.rpc.accepted", .info, "Accepted client connection")
        case .clientLeft: LogRecord("engine.rpc.closed", .info, "Client connection closed")
        case .greeted(let version):
            LogRecord(
                "engine.rpc.hello",
                .info,
                "[hello] version: \(version)",
                ["version": .text("\(version)")]
            )
        case .failed(let text):
            LogRecord("engine.rpc.failed", .warning, "rpc-server says: \(text)")
        case .endpoint, .sizeAsked, .bufferAllocated, .tensorReceived, .graphComputed: nil
        }
    }
}
