internal import FoundationEssentials
internal import Processes

/// Unpacks packages and picks what an engine needs out of them.
struct EngineAssembly: Sendable {
    let dpkgDeb: String
    /// Where the packages are unpacked; can be thrown away afterwards.
    let unpackFolder: String
    /// Gets the layout of `EngineBundle`.
    let targetFolder: String
    let guardBinary: ProcessGuard.Binary

    private static let toolTimeout = Duration.seconds(120)

    func unpack(_ packages: [String], onFraction: (Double) -> Void) async throws {
        for (index, package) in packages.enumerated() {
            onFraction(Double(index) / Double(packages.count))
            let output = try await runForOutput(
                ChildCommand(executable: dpkgDeb, arguments: ["--extract", package, unpackFolder]),
                guardedBy: guardBinary,
                timeout: Self.toolTimeout
            )
            guard output.exit.isSuccess else {
                throw EngineError.installFailed(
                    step: "unpacking \(lastComponent(package))",
                    reason: output.standardError
                )
            }
        }
    }

    /// Copies the programs, ggml's backends, the loader, and exactly the libraries that the loader
    /// says these need (44 of 87 MB).
    func collect() async throws {
        let files = try FileManager.default.subpathsOfDirectory(atPath: unpackFolder).sorted()
            .filter { !$0.hasPrefix("usr/share/") }
        guard let loader = files.first(where: isRegularLoader),
            let server = files.first(where: { lastComponent($0) == EngineLocator.serverName }),
            let rpcServer = files.first(where: {
                EngineLocator.rpcServerNames.contains(lastComponent($0))
            })
        else {
            throw EngineError.installFailed(
                step: "collecting the programs",
                reason: "the packages do not hold llama-server, ggml-rpc-server and a loader"
            )
        }
        let backends = files.filter { $0.contains("/backends") && $0.hasSuffix(".so") }
        let folders = libraryFolders(files)
        var needed: [String: String] = [lastComponent(loader): path(loader)]
        for file in [server, rpcServer] + backends {
            needed[lastComponent(file)] = path(file)
            for (name, found) in try await libraries(of: file, loader: loader, folders: folders) {
                needed[name] = found
            }
        }
        let library = targetFolder + "/" + EngineBundle.libraryFolder
        try FileManager.default.createDirectory(atPath: library, withIntermediateDirectories: true)
        for (name, source) in needed.sorted(by: { $0.key < $1.key }) {
            let resolved = URL(filePath: source).resolvingSymlinksInPath().path
            try FileManager.default.copyItem(atPath: resolved, toPath: library + "/" + name)
        }
    }

    private func path(_ file: String) -> String { unpackFolder + "/" + file }

    private func isRegularLoader(_ file: String) -> Bool {
        guard EngineBundle.isLoader(lastComponent(file)) else { return false }
        // Debian also has links to it, some of which lead out of the folder.
        return (try? FileManager.default.destinationOfSymbolicLink(atPath: path(file))) == nil
    }

    private func libraryFolders(_ files: [String]) -> [String] {
        var folders: [String] = []
        for file in files where lastComponent(file).contains(".so") {
            let folder = path(parentFolder(file))
            if folders.last != folder, !folders.contains(folder) { folders.append(folder) }
        }
        return folders
    }

    /// What the loader would load with a program or library: name and path of each.
    private func libraries(
        of file: String,
        loader: String,
        folders: [String]
    ) async throws -> [(name: String, path: String)] {
        let output = try await runForOutput(
            ChildCommand(
                executable: path(loader),
                arguments: [
                    "--library-path", folders.joined(separator: ":"), "--list", path(file),
                ],
                environment: ["LD_PRELOAD": nil, "LD_LIBRARY_PATH": nil]
            ),
            guardedBy: guardBinary,
            timeout: Self.toolTimeout
        )
        let lines = output.standardOutput.split(separator: "\n")
        let missing = lines.filter { $0.hasSuffix("=> not found") }
        guard output.exit.isSuccess, missing.isEmpty else {
            throw EngineError.installFailed(
                step: "looking for the libraries of \(lastComponent(file))",
                reason: output.standardError + missing.joined(separator: "\n")
            )
        }
        // `	libllama.so.0 => /…/libllama.so.0 (0x00007fb89c000000)`
        return lines.compactMap { line in
            let words = line.split { $0 == " " || $0 == "\t" }
            guard words.count >= 3, words[1] == "=>", words[2].hasPrefix(unpackFolder),
                !words[0].contains("/")
            else { return nil }
            return (String(words[0]), String(words[2]))
        }
    }
}
