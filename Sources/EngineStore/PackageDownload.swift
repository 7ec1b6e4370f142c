internal import FoundationEssentials
internal import Processes
internal import Synchronization

/// Downloads the packages of an engine with apt-get, without root and without touching the
/// machine's own package state.
package struct PackageDownload: Sendable {
    /// In the order in which they are tried: sid has newer packages, forky more settled ones.
    static let suites = ["forky", "sid"]
    static let packages = ["llama.cpp-tools", "llama.cpp-tools-extra", "libggml0-backend-rpc"]

    let mirror: DebianMirror
    let aptGet: String
    /// For apt's lists and indexes.
    let workFolder: String
    /// Where the packages go; those that are there already are not downloaded again.
    let archiveFolder: String
    let guardBinary: ProcessGuard.Binary
    let progress: @Sendable (InstallProgress) -> Void

    /// Downloads the packages and all that they need, and returns the file names.
    func run() async throws -> [String] {
        for suite in Self.suites {
            try prepare(suite)
            progress(InstallProgress(.readingIndex(suite: suite)))
            let update = try await apt(["update"], archives: archiveFolder)
            guard update.isSuccess, !update.hasFetchFailure else {
                // The mirror answers, but has no such suite: the next one may be there.
                if update.errors.contains("404") { continue }
                throw EngineError.unreachable(details: update.trimmedErrors)
            }
            // With a folder that is empty: apt does not list what it finds there.
            let list = try await apt(
                installArguments + ["--print-uris"],
                archives: workFolder + "/none"
            )
            let files = Self.files(in: list.output)
            guard list.isSuccess, !files.isEmpty else { continue }
            try await download(files)
            return files.map(\.name)
        }
        throw EngineError.notOffered(suites: Self.suites)
    }

    package struct File: Hashable {
        /// No package comes near it; sums of sizes stay numbers.
        static let byteLimit = 1 << 40

        package var name: String
        package var byteCount: Int
    }

    /// Reads apt's `'URI' NAME SIZE HASH` lines.
    package static func files(in output: String) -> [File] {
        output.split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard line.hasPrefix("'"), words.count >= 3, words[1].hasSuffix(".deb"),
                !words[1].contains("/"), let byteCount = Int(words[2]),
                0...File.byteLimit ~= byteCount
            else { return nil }
            return File(name: String(words[1]), byteCount: byteCount)
        }
    }

    package static func byteCount(of files: [File]) -> Int {
        files.reduce(0) { $0 + $1.byteCount }
    }

    private func download(_ files: [File]) async throws {
        let missing = files.filter { !isThere($0) }
        let total = Self.byteCount(of: missing)
        progress(InstallProgress(.downloading, fraction: 0, byteCount: 0, totalByteCount: total))
        let result = try await apt(
            installArguments + ["--download-only"],
            archives: archiveFolder
        ) { fraction in
            progress(
                InstallProgress(
                    .downloading,
                    fraction: fraction,
                    byteCount: Int(Double(total) * fraction),
                    totalByteCount: total
                )
            )
        }
        guard result.isSuccess else { throw EngineError.unreachable(details: result.trimmedErrors) }
        if let absent = files.first(where: { !isThere($0) }) {
            throw EngineError.installFailed(
                step: "downloading",
                reason: "apt-get left no \(absent.name)"
            )
        }
    }

    private func isThere(_ file: File) -> Bool {
        FileManager.default.fileExists(atPath: archiveFolder + "/" + file.name)
    }

    private var installArguments: [String] {
        ["install", "--assume-yes", "--no-install-recommends"] + Self.packages
    }

    // MARK: - apt-get

    private func prepare(_ suite: String) throws {
        for folder in [
            workFolder + "/state/lists/partial", workFolder + "/cache",
            workFolder + "/none/partial", archiveFolder + "/partial",
        ] {
            try FileManager.default.createDirectory(
                atPath: folder,
                withIntermediateDirectories: true
            )
        }
        try writeFile(
            workFolder + "/sources.list",
            "deb [signed-by=\(mirror.keyring)] \(mirror.uri) \(suite) main\n"
        )
        // An empty status: nothing counts as installed, so that every library comes along.
        try writeFile(workFolder + "/status", "")
    }

    private func options(archives: String) -> [String] {
        [
            "Dir::State=\(workFolder)/state", "Dir::State::status=\(workFolder)/status",
            "Dir::Cache=\(workFolder)/cache", "Dir::Cache::archives=\(archives)",
            "Dir::Etc::sourcelist=\(workFolder)/sources.list", "Dir::Etc::sourceparts=-",
            // The machine's pins and default release are about the machine.
            "Dir::Etc::preferences=-", "Dir::Etc::preferencesparts=-", "APT::Default-Release=",
            // The sandbox user of root's apt-get cannot write to a private folder.
            "APT::Sandbox::User=",
            "Debug::NoLocking=1", "APT::Status-Fd=1", "Acquire::Retries=3",
            "Acquire::Languages=none", "Dpkg::Use-Pty=0",
        ].flatMap { ["-o", $0] }
    }

    struct Result: Sendable {
        var isSuccess: Bool
        var output = ""
        var errors = ""
        var percent = 0

        var trimmedErrors: String {
            errors.split(separator: "\n").joined(separator: "\n")
        }

        /// apt-get update ends with 0 when it could read nothing.
        var hasFetchFailure: Bool {
            errors.split(separator: "\n").contains {
                $0.hasPrefix("W: Failed to fetch") || $0.hasPrefix("E: ")
                    || $0.hasPrefix("W: Some index files failed")
            }
        }
    }

    private func apt(
        _ arguments: [String],
        archives: String,
        onFraction: @escaping @Sendable (Double) -> Void = { _ in }
    ) async throws -> Result {
        let command = ChildCommand(
            executable: aptGet,
            arguments: options(archives: archives) + arguments,
            environment: ["LC_ALL": "C", "DEBIAN_FRONTEND": "noninteractive"]
        )
        let result = Mutex(Result(isSuccess: false))
        let exit = await runForLines(command, guardedBy: guardBinary) { line, stream in
            if let fraction = Self.fraction(in: line) {
                let percent = Int(fraction * 100)
                // apt tells of every packet; a percent is enough for people.
                let isNews = result.withLock { result in
                    defer { result.percent = percent }
                    return result.percent != percent
                }
                if isNews { onFraction(fraction) }
                return
            }
            result.withLock { result in
                switch stream {
                case .standardOutput where result.output.utf8.count < Self.outputLimit:
                    result.output += line + "\n"
                case .standardError where result.errors.utf8.count < Self.outputLimit:
                    result.errors += line + "\n"
                case .standardOutput, .standardError: break
                }
            }
        }
        try Task.checkCancellation()
        return result.withLock { result in
            result.isSuccess = exit.isSuccess
            if !exit.isSuccess, result.errors.isEmpty { result.errors = "apt-get \(exit)" }
            return result
        }
    }

    private static let outputLimit = 1 << 20

    /// `dlstatus:3:41.5:Retrieving file 3 of 29` is 0.415.
    package static func fraction(in line: String) -> Double? {
        let parts = line.split(separator: ":", maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 4, parts[0] == "dlstatus", let percent = Double(String(parts[2])),
            (0...100).contains(percent)
        else { return nil }
        return percent / 100
    }
}

func writeFile(_ path: String, _ text: String) throws {
    try Data(text.utf8).write(to: URL(filePath: path), options: .atomic)
}
