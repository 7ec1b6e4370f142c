package import Primitives

/// How the RPC server is started on a worker.
///
/// It has neither authentication nor encryption: it listens on loopback, and the agent's tunnel
/// leads to it.
package struct RPCServerCommand: Hashable, Sendable {
    /// How much it tells: at `steps` a line a token, at `tensors` about 22.
    package enum Detail: Int, Sendable {
        case connections = 0
        case steps = 1
        case tensors = 2
    }

    /// Where it listens; it understands literal IPv4 addresses only.
    package var endpoint: Endpoint
    /// Nil for half of the hardware's threads.
    package var threadCount: Int?
    /// Keeps weights of more than 10 MiB here, without end; nil for none.
    ///
    /// A damaged file is used without a word, and yields garbage text.
    package var cacheFolder: String?
    package var detail: Detail

    package init(
        endpoint: Endpoint,
        threadCount: Int? = nil,
        cacheFolder: String? = nil,
        detail: Detail = .steps
    ) {
        self.endpoint = endpoint
        self.threadCount = threadCount
        self.cacheFolder = cacheFolder
        self.detail = detail
    }

    package func arguments(for features: EngineFacts.Features) -> [String] {
        var arguments = ["--host", "\(endpoint.address)", "--port", String(endpoint.port)]
        if let threadCount, features.contains(.rpcThreads) {
            arguments += ["-t", String(threadCount)]
        }
        if cacheFolder != nil, features.contains(.weightCache) { arguments.append("-c") }
        return arguments
    }

    /// Changes to the environment.
    package var environment: [String: String?] {
        var environment: [String: String?] = [
            "GGML_NO_BACKTRACE": "1", "GGML_RPC_DEBUG": String(detail.rawValue),
        ]
        // It asks only whether the variable is there in old versions, not for its value.
        if detail == .connections { environment["GGML_RPC_DEBUG"] = .some(nil) }
        if let cacheFolder { environment["LLAMA_CACHE"] = cacheFolder }
        return environment
    }

    /// Makes the RPC server print its version and leave, on every machine and without a port.
    ///
    /// It prints its banner before it finds that this is no address (0.07 s, exit code 0).
    package static let bannerArguments = ["--host", "none", "--port", "1"]

    /// The command as a person would type it.
    package func displayText(for features: EngineFacts.Features) -> String {
        commandText("ggml-rpc-server", arguments(for: features))
    }
}
