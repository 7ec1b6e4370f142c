package import LlamaRPC
package import Primitives

/// Something that an RPC server said; the debug lines only with `GGML_RPC_DEBUG`.
package enum RPCServerObservation: Hashable, Sendable {
    case starting(RPCVersion)
    case endpoint(String)
    case device(name: String, description: String, total: ByteCount)
    case clientConnected
    case clientLeft
    /// A client's greeting was answered; with the version of the server.
    case greeted(RPCVersion)
    /// A client asked how much memory a tensor will take.
    case sizeAsked
    case bufferAllocated
    /// A client sent a tensor, or part of one.
    case tensorReceived
    case graphComputed
    /// It cannot work, though it may end with exit code 0.
    case failed(String)

    /// Reads a line; nil for one that says nothing of the above.
    package init?(line: String) {
        let text = line.drop { $0 == " " }
        func rest(_ prefix: String) -> Substring? {
            text.hasPrefix(prefix) ? text.dropFirst(prefix.count) : nil
        }
        if text.hasPrefix("[") {
            self.init(debugLine: text)
        } else if let version = rest("Starting RPC server ").flatMap({ RPCVersion($0) }) {
            self = .starting(version)
        } else if text == "Accepted client connection"
            || text.hasPrefix("Accepted client connection,")
        {
            self = .clientConnected
        } else if text == "Client connection closed" {
            self = .clientLeft
        } else if text.hasPrefix("endpoint"), let colon = text.firstRange(of: ": ") {
            self = .endpoint(String(text[colon.upperBound...]))
        } else if Self.failures.contains(where: { text.hasPrefix($0) }) {
            self = .failed(String(text))
        } else {
            self.init(deviceLine: text)
        }
    }

    private static let failures = [
        "Failed to create server socket", "Invalid host address", "Failed to accept client",
        "Failed to find RPC backend", "Failed to create backend", "No devices found",
        "error: ", "Invalid device", "Expected HELLO command", "Failed to initialize RPC transport",
    ]

    /// `[hello] version: 8.0.0`, `[graph_compute] device: 0, uid: 24, …`.
    private init?(debugLine text: Substring) {
        guard let end = text.firstIndex(of: "]") else { return nil }
        switch text[..<end].dropFirst() {
        case "hello":
            guard let space = text.lastIndex(of: " "),
                let version = RPCVersion(text[space...].dropFirst())
            else { return nil }
            self = .greeted(version)
        case "get_alloc_size": self = .sizeAsked
        case "alloc_buffer": self = .bufferAllocated
        case "set_tensor", "set_tensor_hash": self = .tensorReceived
        case "graph_compute", "graph_recompute": self = .graphComputed
        default: return nil
        }
    }

    /// `CPU: AMD EPYC (24105 MiB, 24105 MiB free)`.
    private init?(deviceLine text: Substring) {
        guard text.hasSuffix(" MiB free)"), let colon = text.firstRange(of: ": "),
            let bracket = text.lastIndex(of: "("), colon.upperBound < bracket,
            let mebibytes = UInt64(text[bracket...].dropFirst().prefix { $0.isNumber }),
            mebibytes < 1 << 40
        else { return nil }
        var description = text[colon.upperBound..<bracket]
        while description.last == " " { description.removeLast() }
        self = .device(
            name: String(text[..<colon.lowerBound]),
            description: String(description),
            total: ByteCount(mebibytes << 20)
        )
    }
}
