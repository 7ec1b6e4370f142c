/// How llama-server is started on the master.
///
/// Measured with llama.cpp 0.7.0, a model of 10 layers, one worker:
/// - `-lv 4` prints the size of each device's buffers, only `-lv 5` also the device of each layer.
/// - `-lv 5` costs 17 lines or 1.1 kB a token, and no speed that could be measured. These lines
///   hold what users write: they must be read and dropped, never passed on.
/// - `--verbose` prints the same, and adds a field `__verbose` with the whole prompt to every
///   answer; it is for versions without levels only.
/// - `LLAMA_SERVER_ROUTER_PORT`, which makes it report its load progress, also makes SIGTERM wait
///   for the end of its input: it is not used, and removed if it was inherited.
package struct LlamaServerCommand: Hashable, Sendable {
    /// How much llama-server tells.
    package enum Detail: Sendable {
        /// What it does, without sizes: the default of llama-server.
        case summary
        /// The size of each device's buffers.
        case buffers
        /// The device of each layer too.
        case layers
    }

    package var modelPath: String
    package var httpHost: String
    package var httpPort: UInt16
    /// `address:port` of each RPC server, in the order of the devices; empty for a master alone.
    package var workers: [String]
    /// The value of `--tensor-split`, one share a device; empty without workers.
    package var tensorSplit: String
    package var contextLength: Int
    /// Layers to place on devices; more than there are means all.
    package var gpuLayerCount: Int
    /// Requests answered at the same time; nil leaves it to llama-server.
    package var slotCount: Int?
    package var detail: Detail
    /// Options of the user, which come last and so win.
    package var extraArguments: [String]

    package init(
        modelPath: String,
        httpHost: String = "127.0.0.1",
        httpPort: UInt16,
        workers: [String],
        tensorSplit: String,
        contextLength: Int,
        gpuLayerCount: Int = 999,
        slotCount: Int? = nil,
        detail: Detail = .layers,
        extraArguments: [String] = []
    ) {
        self.modelPath = modelPath
        self.httpHost = httpHost
        self.httpPort = httpPort
        self.workers = workers
        self.tensorSplit = tensorSplit
        self.contextLength = contextLength
        self.gpuLayerCount = gpuLayerCount
        self.slotCount = slotCount
        self.detail = detail
        self.extraArguments = extraArguments
    }

    /// The arguments that an engine with these features understands.
    package func arguments(for features: EngineFacts.Features) -> [String] {
        var arguments = ["-m", modelPath]
        if !workers.isEmpty {
            arguments += ["--rpc", workers.joined(separator: ",")]
            if !tensorSplit.isEmpty { arguments += ["--tensor-split", tensorSplit] }
        }
        if features.contains(.loadMode) {
            arguments += ["--load-mode", "none"]
        } else if features.contains(.noMmap) {
            arguments.append("--no-mmap")
        }
        arguments += ["--host", httpHost, "--port", String(httpPort)]
        arguments += ["-c", String(contextLength), "-ngl", String(gpuLayerCount)]
        if let slotCount { arguments += ["-np", String(slotCount)] }
        // On by default, it may silently leave workers without any layer.
        if features.contains(.fit) { arguments += ["--fit", "off"] }
        // On by default, it pulls the memory of idle conversations back over the network.
        if features.contains(.cacheRAM) { arguments += ["--cache-ram", "0"] }
        // On by default in new versions; how far a request is, even when llama-server hangs.
        if features.contains(.slotsFlag) { arguments.append("--slots") }
        return arguments + detailArguments(features) + extraArguments
    }

    private func detailArguments(_ features: EngineFacts.Features) -> [String] {
        switch detail {
        case .summary: []
        // Versions without levels print the sizes by default.
        case .buffers: features.contains(.verbosityLevels) ? ["-lv", "4"] : []
        case .layers: features.contains(.verbosityLevels) ? ["-lv", "5"] : ["--verbose"]
        }
    }

    /// Changes to the environment; nil removes a variable.
    package static let environment: [String: String?] = [
        // Otherwise an abort starts gdb first, which costs up to a second.
        "GGML_NO_BACKTRACE": "1",
        // Would change how it must be spoken to: only the agent does, over loopback.
        "LLAMA_API_KEY": nil, "LLAMA_ARG_API_KEY_FILE": nil, "LLAMA_ARG_API_PREFIX": nil,
        "LLAMA_ARG_SSL_KEY_FILE": nil, "LLAMA_ARG_SSL_CERT_FILE": nil,
        "LLAMA_SERVER_ROUTER_PORT": nil,
        // Would write the log elsewhere, or in another form.
        "LLAMA_ARG_LOG_FILE": nil, "LLAMA_LOG_FILE": nil, "LLAMA_ARG_LOG_JSONL": nil,
        "LLAMA_ARG_LOG_DISABLE": nil,
    ]

    /// The command as a person would type it: `llama-server -m model.gguf --rpc …`.
    package func displayText(for features: EngineFacts.Features) -> String {
        commandText("llama-server", arguments(for: features))
    }
}

/// A command line that a shell reads as these words.
package func commandText(_ program: String, _ arguments: [String]) -> String {
    ([program] + arguments).map(shellQuoted).joined(separator: " ")
}

private func shellQuoted(_ word: String) -> String {
    let isPlain = word.unicodeScalars.allSatisfy { scalar in
        scalar.properties.isAlphabetic || ("0"..."9").contains(scalar)
            || "-_./,:=+@%~".unicodeScalars.contains(scalar)
    }
    if isPlain, !word.isEmpty { return word }
    return "'"
        + word.split(separator: "'", omittingEmptySubsequences: false)
        .joined(separator: "'\\''") + "'"
}
