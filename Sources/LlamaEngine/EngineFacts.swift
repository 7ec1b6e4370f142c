package import LlamaRPC
package import Primitives

/// What an installed llama.cpp says of itself: its version, and which options it knows.
///
/// Options come and go between versions (`--no-mmap` is gone in 0.7.0), and an unknown one ends
/// llama-server at once; therefore the binary is asked, and nothing is derived from its version.
package struct EngineFacts: Hashable, Sendable {
    package struct Features: OptionSet, Hashable, Sendable {
        package let rawValue: UInt32

        package init(rawValue: UInt32) {
            self.rawValue = rawValue
        }

        /// Built with `-DGGML_RPC=ON`, with a backend that could be loaded.
        package static let rpc = Features(rawValue: 1 << 0)
        package static let tensorSplit = Features(rawValue: 1 << 1)
        package static let noMmap = Features(rawValue: 1 << 2)
        /// `--load-mode none`, which replaces `--no-mmap`.
        package static let loadMode = Features(rawValue: 1 << 3)
        /// Fits unset options to the memory of devices, unless it is told not to.
        package static let fit = Features(rawValue: 1 << 4)
        package static let cacheRAM = Features(rawValue: 1 << 5)
        /// `-lv 5` is debug; older versions know `--verbose` only.
        package static let verbosityLevels = Features(rawValue: 1 << 6)
        package static let jsonLogs = Features(rawValue: 1 << 7)
        /// `/slots` answers only when it is asked for.
        package static let slotsFlag = Features(rawValue: 1 << 8)
        /// The RPC server can keep weights in files.
        package static let weightCache = Features(rawValue: 1 << 9)
        package static let rpcThreads = Features(rawValue: 1 << 10)
    }

    /// As the binary words it: `0.7.0 (build 11669, commit Debian)`, `6527 (a91d035b)`.
    package var version: String
    package var buildNumber: Int?
    package var features: Features
    /// Nil when the RPC server did not tell.
    package var rpcVersion: RPCVersion?
    /// What it can use beside the processors: `CUDA0 NVIDIA GeForce RTX 3060`.
    package var accelerators: [String]

    package init(
        version: String,
        buildNumber: Int?,
        features: Features,
        rpcVersion: RPCVersion?,
        accelerators: [String] = []
    ) {
        self.version = version
        self.buildNumber = buildNumber
        self.features = features
        self.rpcVersion = rpcVersion
        self.accelerators = accelerators
    }

    /// Without the build's details: it is compared between devices, and gossiped.
    package var shortVersion: String { String(version.prefix { $0 != " " }) }

    /// The RPC version as devices tell it to each other.
    package var toldRPCVersion: ThreePartVersion? {
        rpcVersion.map { ThreePartVersion($0.major, $0.minor, $0.patch) }
    }

    /// Reads what the binaries printed; nil when `versionText` is not llama.cpp's.
    ///
    /// - Parameters:
    ///   - versionText: Both streams of `llama-server --version`.
    ///   - serverHelp: The output of `llama-server --help`.
    ///   - rpcServerHelp: Both streams of the RPC server's `--help`.
    ///   - rpcServerBanner: What the RPC server prints when it starts.
    ///   - deviceList: Both streams of `llama-server --list-devices`.
    package init?(
        versionText: String,
        serverHelp: String,
        rpcServerHelp: String,
        rpcServerBanner: String,
        deviceList: String = ""
    ) {
        let prefix = "version: "
        guard let line = versionText.split(separator: "\n").first(where: { $0.hasPrefix(prefix) })
        else { return nil }
        version = String(line.dropFirst(prefix.count))
        buildNumber = Self.buildNumber(in: version)
        features = Self.features(serverHelp: serverHelp, rpcServerHelp: rpcServerHelp)
        rpcVersion =
            rpcServerBanner.split(separator: "\n").lazy.compactMap { line in
                guard case .starting(let version) = RPCServerObservation(line: String(line)) else {
                    return nil
                }
                return version
            }.first
        accelerators = Self.accelerators(in: deviceList)
    }

    /// The lines `  CUDA0: NVIDIA GeForce RTX 3060 (11909 MiB, 11500 MiB free)` below
    /// `Available devices:`, without their memory.
    private static func accelerators(in list: String) -> [String] {
        let lines = list.split(separator: "\n").drop { !$0.hasPrefix("Available devices:") }
        return lines.dropFirst().prefix { $0.hasPrefix("  ") }.compactMap { line in
            guard let colon = line.firstIndex(of: ":") else { return nil }
            let device = line[..<colon].drop(while: \.isWhitespace)
            var name = line[line.index(after: colon)...].drop(while: \.isWhitespace)
            // The last bracket: names have brackets, too.
            if name.hasSuffix("free)"), let bracket = name.lastIndex(of: "(") {
                name = name[..<bracket]
            }
            while name.last?.isWhitespace == true { name.removeLast() }
            return name.isEmpty ? nil : "\(device) \(name)"
        }
    }

    /// The number after `build`, or the first word of older versions.
    private static func buildNumber(in version: String) -> Int? {
        let words = version.split { " (),".contains($0) }
        if let index = words.firstIndex(of: "build"), index + 1 < words.count {
            return Int(words[index + 1])
        }
        return words.first.flatMap { Int($0) }
    }

    private static func features(serverHelp: String, rpcServerHelp: String) -> Features {
        let flags = optionNames(in: serverHelp)
        let rpcFlags = optionNames(in: rpcServerHelp)
        var features: Features = []
        if flags.contains("--rpc") { features.insert(.rpc) }
        if flags.contains("--tensor-split") { features.insert(.tensorSplit) }
        if flags.contains("--no-mmap") { features.insert(.noMmap) }
        if flags.contains("--load-mode") { features.insert(.loadMode) }
        if flags.contains("--fit") { features.insert(.fit) }
        if flags.contains("--cache-ram") { features.insert(.cacheRAM) }
        if flags.contains("--verbosity"), serverHelp.contains("5: debug") {
            features.insert(.verbosityLevels)
        }
        if flags.contains("--log-jsonl") { features.insert(.jsonLogs) }
        if flags.contains("--slots") { features.insert(.slotsFlag) }
        if rpcFlags.contains("-c") { features.insert(.weightCache) }
        if rpcFlags.contains("-t") { features.insert(.rpcThreads) }
        return features
    }

    /// The options that a help text explains: the words in front of a line that start with a dash.
    private static func optionNames(in help: String) -> Set<Substring> {
        var names: Set<Substring> = []
        for line in help.split(separator: "\n") {
            let words = line.split { $0 == " " || $0 == "," }
            for word in words {
                guard word.hasPrefix("-") else { break }
                names.insert(word)
            }
        }
        return names
    }
}

extension EngineFacts {
    /// How to make an engine of one's own, in the words of the reference document.
    package static let buildInstructions = """
        cd ~/llama.cpp
        rm -rf build
        cmake -B build -DGGML_RPC=ON -DBUILD_SHARED_LIBS=ON
        cmake --build build --config Release -j4
        """

    /// What keeps this engine from serving a cluster, in words that say what to do.
    package var problems: [String] {
        var problems: [String] = []
        if !features.contains(.rpc) {
            problems.append(
                """
                llama-server \(version) has no --rpc: it was built without RPC support. Run \
                `caravan engine install`, or build llama.cpp again:
                \(Self.buildInstructions)
                """
            )
        }
        if rpcVersion == nil {
            problems.append(
                "the RPC server did not say which protocol version it speaks; a worker and a "
                    + "master of different versions would be noticed only when a model is loaded"
            )
        }
        return problems
    }
}
