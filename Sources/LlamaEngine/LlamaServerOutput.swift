internal import Primitives

/// Reads what llama-server prints, a line at a time, old and new versions alike.
///
/// New: `0.00.073.592 D load_tensors: layer   0 assigned to device RPC0, is_swa = 0`; old versions
/// print no time and level. Only lines that begin like llama-server's own are believed, and none
/// about loading once the model is loaded: from then on, lines hold what users write.
package struct LlamaServerOutput: Sendable {
    /// Endpoints of the devices found, in their order; buffers are named after endpoints.
    private var deviceEndpoints: [String] = []
    private let workers: [String]
    private var isLoaded = false
    private var isListening = false
    /// What the reader of files said last.
    private var fileProblem: String?

    /// - Parameter workers: The `--rpc` endpoints, in their order: with versions that do not list
    ///   their devices, the n-th of them is device n.
    package init(workers: [String]) {
        self.workers = workers
    }

    package mutating func observe(_ line: String) -> LlamaServerObservation? {
        let (level, message) = Self.splitPrefix(line)
        // While it serves, it prints some 17 lines a token, and none of them matters here.
        if isListening, let level, level != UInt8(ascii: "E") { return nil }
        if let failure = LlamaServerFailure(message: message, device: device) {
            return .failed(explained(failure))
        }
        if !isListening, let url = Self.listeningURL(message) {
            isListening = true
            return .listening(url: url)
        }
        if !isLoaded, let observation = observeLoading(message) { return observation }
        guard level == UInt8(ascii: "E") else { return nil }
        if message.hasPrefix("gguf_") { fileProblem = Self.oneLine(message) }
        return .failed(.other(Self.oneLine(message)))
    }

    /// That a file could not be read is said twice: why, and then which file.
    private func explained(_ failure: LlamaServerFailure) -> LlamaServerFailure {
        guard case .badModel(let text) = failure, text.contains("failed to load model from"),
            let fileProblem
        else { return failure }
        return .badModel(fileProblem)
    }

    /// `llama_server: listening on http://…`, `main: server is listening on http://… - starting`.
    private static func listeningURL(_ message: Substring) -> String? {
        for prefix in ["llama_server: listening on ", "main: server is listening on "]
        where message.hasPrefix(prefix) {
            return String(message.dropFirst(prefix.count).prefix { $0 != " " })
        }
        return nil
    }

    /// Where a colon and a space stand first; strings are searched for strings many times slower.
    private static func firstColon(in message: Substring) -> Range<Substring.Index>? {
        let bytes = message.utf8
        var rest = bytes[...]
        while let colon = rest.firstIndex(of: UInt8(ascii: ":")) {
            let next = bytes.index(after: colon)
            if next < bytes.endIndex, bytes[next] == UInt8(ascii: " ") {
                return colon..<bytes.index(after: next)
            }
            rest = bytes[next...]
        }
        return nil
    }

    private mutating func observeLoading(_ message: Substring) -> LlamaServerObservation? {
        if message.hasSuffix(": model loaded") {
            isLoaded = true
            return .modelLoaded
        }
        guard let colon = Self.firstColon(in: message) else { return nil }
        let function = message[..<colon.lowerBound]
        let text = message[colon.upperBound...]
        switch function {
        case "load_tensors": return observeTensors(text)
        case "llama_prepare_model_devices", "llama_model_load_from_file_impl":
            return observeDevice(text)
        default: break
        }
        return observeBuffer(text)
    }

    /// `layer   0 assigned to device RPC0, is_swa = 0`, `offloaded 25/25 layers to GPU`, or a size.
    private func observeTensors(_ text: Substring) -> LlamaServerObservation? {
        let words = text.split { $0 == " " || $0 == "," }
        if text.hasPrefix("loading model tensors") { return .loadingStarted }
        if words.count >= 6, words[0] == "layer", words[2...4] == ["assigned", "to", "device"],
            let layer = Int(words[1])
        {
            return .layerAssigned(layer: layer, device(words[5]))
        }
        if words.count >= 2, words[0] == "offloaded" {
            let counts = words[1].split(separator: "/").compactMap { Int($0) }
            guard counts.count == 2 else { return nil }
            return .layersOffloaded(counts[0], of: counts[1])
        }
        return observeBuffer(text)
    }

    /// `using device RPC0 (127.0.0.1:20101) (unknown id) - 24105 MiB free`.
    private mutating func observeDevice(_ text: Substring) -> LlamaServerObservation? {
        let words = text.split(separator: " ")
        guard words.count >= 4, words[0] == "using", words[1] == "device",
            let name = RPCDeviceName(words[2])
        else { return nil }
        let endpoint = name.endpoint ?? words[3].dropFirst().prefix { $0 != ")" }
        guard deviceEndpoints.count < 64 else { return nil }
        deviceEndpoints.append(String(endpoint))
        return .deviceFound(index: deviceEndpoints.count - 1, endpoint: String(endpoint))
    }

    /// `RPC0[127.0.0.1:20101] model buffer size =    44.83 MiB`.
    private func observeBuffer(_ text: Substring) -> LlamaServerObservation? {
        let words = text.split(separator: " ")
        guard words.count == 7, words[2...4] == ["buffer", "size", "="], words[6] == "MiB",
            let size = Double(String(words[5])), size >= 0, size < 1e9
        else { return nil }
        let bytes = ByteCount(UInt64(size * 1_048_576))
        let kind: LlamaBuffer
        switch words[1] {
        case "model": kind = .weights
        case "KV", "RS": kind = .cache
        case "compute": kind = .compute
        case "output": kind = .output
        default: return nil
        }
        return .buffer(kind, device(words[0]), bytes)
    }

    /// Which device a name means: layers name devices (`RPC1`), buffers also where they are.
    private func device(_ name: Substring) -> LlamaDevice {
        guard let rpc = RPCDeviceName(name) else { return .local(String(name)) }
        guard let endpoint = rpc.endpoint else { return .worker(rpc.number ?? 0) }
        let known = deviceEndpoints.isEmpty ? workers : deviceEndpoints
        // With an endpoint, the number counts the devices of that server only.
        let indices = known.indices.filter { known[$0] == endpoint }
        let number = rpc.number ?? 0
        guard let index = number < indices.count ? indices[number] : indices.last else {
            return .local(String(name))
        }
        return .worker(index)
    }

    /// Takes `0.00.073.592 D ` off a line of a new version; the level is a letter.
    private static func splitPrefix(_ line: String) -> (level: UInt8?, message: Substring) {
        let bytes = line.utf8
        let time = bytes.prefix { $0 == UInt8(ascii: ".") || (0x30...0x39).contains($0) }
        let rest = bytes[time.endIndex...].prefix(3)
        guard !time.isEmpty, rest.count == 3, rest.first == UInt8(ascii: " "),
            rest.last == UInt8(ascii: " "), let level = rest.dropFirst().first
        else { return (nil, subsystemRemoved(trimmed(line[...]))) }
        return (level, subsystemRemoved(trimmed(line[rest.endIndex...])))
    }

    private static func trimmed(_ text: Substring) -> Substring {
        text.drop { $0 == " " }
    }

    /// Without the line ends that a few messages spell out, as a backslash and an n.
    fileprivate static func oneLine(_ text: Substring) -> String {
        var rest = text
        while rest.hasSuffix("\\n") || rest.hasSuffix(" ") {
            rest = rest.dropLast(rest.hasSuffix(" ") ? 1 : 2)
        }
        return String(rest)
    }

    /// Takes the subsystem (`srv  `, `cmn  `) and padding off: `srv  llama_server: model loaded`.
    private static func subsystemRemoved(_ text: Substring) -> Substring {
        let word = text.prefix { $0 != " " }
        guard word.count <= 4, !word.hasSuffix(":") else { return text }
        return trimmed(text[word.endIndex...])
    }
}

/// `RPC0`, `RPC0[127.0.0.1:60000]`, and the older `RPC[127.0.0.1:60000]`.
private struct RPCDeviceName {
    let number: Int?
    let endpoint: Substring?

    init?(_ name: Substring) {
        guard name.hasPrefix("RPC") else { return nil }
        let rest = name.dropFirst(3)
        let digits = rest.prefix { $0.isNumber }
        number = Int(digits)
        let bracket = rest[digits.endIndex...]
        if bracket.hasPrefix("["), bracket.hasSuffix("]") {
            endpoint = bracket.dropFirst().dropLast()
        } else if bracket.isEmpty, number != nil {
            endpoint = nil
        } else {
            return nil
        }
    }
}

extension LlamaServerFailure {
    /// Reads a line that tells of an error; nil for any other.
    ///
    /// Abort lines begin with the place in the source: `…/ggml-rpc.cpp:650: Failed to connect…`.
    fileprivate init?(message: Substring, device: (Substring) -> LlamaDevice) {
        let firstWord = message.prefix { $0 != " " }
        if firstWord.hasSuffix(":"), firstWord.contains("ggml-rpc.cpp:") {
            self.init(abort: message[firstWord.endIndex...].dropFirst())
        } else if message.hasPrefix("llama_model_load: error loading model: ") {
            let text = message.dropFirst("llama_model_load: error loading model: ".count)
            let words = text.split(separator: " ")
            if words.count == 5, words[0...2] == ["unable", "to", "allocate"] {
                self = .outOfMemory(device(words[3]), nil)
            } else {
                self = .badModel(LlamaServerOutput.oneLine(text))
            }
        } else if message.hasPrefix("ggml_"),
            let range = message.firstRange(of: ": failed to allocate ")
        {
            // `RPC0[…] buffer of size 549470464`
            let words = message[range.upperBound...].split(separator: " ")
            guard words.count == 5, words[1...3] == ["buffer", "of", "size"] else { return nil }
            self = .outOfMemory(device(words[0]), UInt64(words[4]).map { ByteCount($0) })
        } else if message.hasPrefix("start:"), message.contains("couldn't bind HTTP server socket")
        {
            self = .portTaken
        } else if message.hasPrefix("error: invalid argument")
            || message.hasPrefix("error while handling argument")
        {
            self = .badArgument(String(message))
        } else {
            return nil
        }
    }

    private init?(abort text: Substring) {
        func rest(_ prefix: String) -> String? {
            text.hasPrefix(prefix) ? String(text.dropFirst(prefix.count)) : nil
        }
        if let endpoint = rest("Failed to connect to ") {
            self = .cannotConnect(endpoint: endpoint)
        } else if let endpoint = rest("RPC handshake failed for ") {
            self = .handshakeFailed(endpoint)
        } else if let version = rest("RPC server version mismatch: ") {
            self = .versionMismatch(version)
        } else if text.hasPrefix("Remote RPC server crashed") {
            self = .workerLost
        } else {
            self = .other(String(text))
        }
    }
}
