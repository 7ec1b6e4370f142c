package import Primitives

/// A device as llama-server counts them.
package enum LlamaDevice: Hashable, Sendable {
    /// The n-th device of the `--rpc` servers, counted from 0 over all of them.
    case worker(Int)
    /// Memory of the machine that llama-server runs on: `CPU`, `CPU_Mapped`, `CUDA0`.
    case local(String)
}

extension LlamaDevice: CustomStringConvertible {
    package var description: String {
        switch self {
        case .worker(let index): "RPC\(index)"
        case .local(let name): name
        }
    }
}

package enum LlamaBuffer: Hashable, Sendable {
    case weights, cache, compute, output
}

/// Something that llama-server said and that the cluster acts on or shows.
package enum LlamaServerObservation: Hashable, Sendable {
    /// It reached a worker and knows its device.
    case deviceFound(index: Int, endpoint: String)
    /// It starts to read the weights and to send them.
    case loadingStarted
    /// The output layer is the last, one more than the model has.
    case layerAssigned(layer: Int, LlamaDevice)
    case layersOffloaded(Int, of: Int)
    case buffer(LlamaBuffer, LlamaDevice, ByteCount)
    /// It answers requests.
    case modelLoaded
    case listening(url: String)
    case failed(LlamaServerFailure)
}

/// Why llama-server gave up or is about to, as far as it says.
package enum LlamaServerFailure: Hashable, Sendable {
    case cannotConnect(endpoint: String)
    case handshakeFailed(String)
    case versionMismatch(String)
    /// A worker went away while it was needed.
    case workerLost
    /// A device could not hold what was placed on it.
    case outOfMemory(LlamaDevice, ByteCount?)
    case badModel(String)
    case portTaken
    case badArgument(String)
    /// Another line of its that tells of an error.
    case other(String)
}

extension LlamaServerFailure {
    /// Whether it only says what follows from a failure that was told before.
    package var isConsequence: Bool {
        guard case .other(let text) = self else { return false }
        return text.contains("failed to load model")
            || text.contains("exiting due to model loading error")
    }

    /// Whether the model is at fault, so that another try on the same devices ends alike.
    ///
    /// llama.cpp says so of nothing; these words stand in what it says of files. It begins in the
    /// same way when memory or a device is at fault.
    package var blamesModel: Bool {
        guard case .badModel(let text) = self else { return false }
        let lowercase = text.lowercased()
        return ["alloc", "memory", "backend", "device"].allSatisfy { !lowercase.contains($0) }
            && Self.wordsOfFiles.contains { lowercase.contains($0) }
    }

    private static let wordsOfFiles = [
        "tensor", "architecture", "magic", "key not found", "hyperparameters", "vocab",
        "tokenizer", "gguf", "corrupt", "failed to load model from", "file bounds", "split",
    ]
}

extension LlamaServerFailure: CustomStringConvertible {
    package var description: String {
        switch self {
        case .cannotConnect(let endpoint): "cannot connect to the RPC server at \(endpoint)"
        case .handshakeFailed(let endpoint): "the RPC server at \(endpoint) refused the handshake"
        case .versionMismatch(let text): "a worker's llama.cpp has another RPC version: \(text)"
        case .workerLost: "a worker's RPC server crashed or was cut off"
        case .outOfMemory(let device, let size?): "\(device) has no room for \(size)"
        case .outOfMemory(let device, nil): "\(device) has not enough memory"
        case .badModel(let text): "the model cannot be loaded: \(text)"
        case .portTaken: "the HTTP port is taken"
        case .badArgument(let text): "llama-server does not know an option: \(text)"
        case .other(let text): text
        }
    }
}
