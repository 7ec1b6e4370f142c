internal import FoundationEssentials
package import Processes

/// Looks for an engine: first where the user says, then where engines usually are.
package struct EngineLocator: Sendable {
    /// The value of `--engine`.
    package var explicitFolder: String?
    /// Where `caravan engine install` puts an engine; see `EngineInstaller`.
    package var installFolder: String
    /// `CARAVAN_ENGINE`, `PATH` and `HOME` are read.
    package var environment: [String: String]
    package var probe: EngineProbe

    package init(
        explicitFolder: String? = nil,
        installFolder: String,
        environment: [String: String],
        guardedBy guardBinary: ProcessGuard.Binary = .ownExecutable
    ) {
        self.explicitFolder = explicitFolder
        self.installFolder = installFolder
        self.environment = environment
        probe = EngineProbe(guardedBy: guardBinary)
    }

    /// A place to look at, and who named it.
    package struct Place: Hashable, Sendable, CustomStringConvertible {
        package var folder: String
        package var reason: String

        package var description: String { "\(folder) (\(reason))" }
    }

    static let serverName = "llama-server"
    static let rpcServerNames = ["ggml-rpc-server", "rpc-server"]

    /// Returns the first engine that works.
    ///
    /// A folder that the user named must work; others are passed over when they do not, and the
    /// first trouble is reported when nothing else is found.
    package func locate() async throws -> Engine {
        if let named = namedPlace {
            guard let programs = try programs(in: named.folder) else {
                throw EngineError.incomplete(folder: "\(named)", missing: Self.serverName)
            }
            return try await probe.engine(of: programs)
        }
        var trouble: (any Error)?
        for place in usualPlaces {
            do {
                if let programs = try programs(in: place.folder) {
                    return try await probe.engine(of: programs)
                }
            } catch {
                trouble = trouble ?? error
            }
        }
        throw trouble ?? EngineError.notFound(places: usualPlaces.map(\.description))
    }

    private var namedPlace: Place? {
        if let explicitFolder { return Place(folder: explicitFolder, reason: "--engine") }
        if let folder = environment["CARAVAN_ENGINE"], !folder.isEmpty {
            return Place(folder: folder, reason: "CARAVAN_ENGINE")
        }
        return nil
    }

    /// Every place that `locate` looks at, in order.
    package var places: [Place] { namedPlace.map { [$0] } ?? usualPlaces }

    private var usualPlaces: [Place] {
        var places = [Place(folder: installFolder, reason: "caravan engine install")]
        for folder in (environment["PATH"] ?? "").split(separator: ":") where folder.hasPrefix("/")
        {
            places.append(Place(folder: String(folder), reason: "PATH"))
        }
        if let home = environment["HOME"], !home.isEmpty {
            places.append(Place(folder: home + "/llama.cpp/build/bin", reason: "own build"))
        }
        for folder in Self.libexecFolders {
            places.append(Place(folder: folder, reason: "Debian's llama.cpp packages"))
        }
        return places
    }

    /// `/usr/libexec/<triplet>/llama/bin`, where Debian keeps the RPC server.
    private static var libexecFolders: [String] {
        folderContents("/usr/libexec").map { "/usr/libexec/\($0)/llama/bin" }
            .filter { FileManager.default.fileExists(atPath: $0) }
    }

    // MARK: - One folder

    /// The programs of the engine in a folder; nil when llama-server is not there.
    func programs(in folder: String) throws(EngineError) -> EnginePrograms? {
        // The programs of an installed engine start with its loader only, whichever of its two
        // folders was named.
        let installed =
            lastComponent(folder) == EngineBundle.libraryFolder
            ? parentFolder(trimmed(folder)) : folder
        if let bundle = try EngineBundle.programs(in: installed) { return bundle }
        for binaries in [folder, folder + "/bin", folder + "/build/bin"] {
            let path = binaries + "/" + Self.serverName
            guard FileManager.default.isExecutableFile(atPath: path) else { continue }
            guard let rpcServer = rpcServer(besides: binaries) else {
                throw .incomplete(
                    folder: binaries,
                    missing: Self.rpcServerNames.joined(separator: " or ")
                )
            }
            let start = EngineProgram.Start.direct(libraryFolders: libraryFolders(of: binaries))
            return EnginePrograms(
                folder: binaries,
                server: EngineProgram(name: Self.serverName, path: path, start: start),
                rpcServer: EngineProgram(
                    name: lastComponent(rpcServer),
                    path: rpcServer,
                    start: start
                )
            )
        }
        return nil
    }

    private func rpcServer(besides binaries: String) -> String? {
        for folder in [binaries] + Self.libexecFolders {
            for name in Self.rpcServerNames {
                let path = folder + "/" + name
                if FileManager.default.isExecutableFile(atPath: path) { return path }
            }
        }
        return nil
    }

    /// Where a build of llama.cpp has its libraries; none for the folders of the system.
    private func libraryFolders(of binaries: String) -> [String] {
        guard !binaries.hasPrefix("/usr/"), !binaries.hasPrefix("/bin") else { return [] }
        let parent = parentFolder(binaries)
        return [binaries, parent + "/src", parent + "/ggml/src", parent + "/lib"].filter { folder in
            folderContents(folder).contains { $0.contains(".so") }
        }
    }
}

func folderContents(_ folder: String) -> [String] {
    ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).sorted()
}

func lastComponent(_ path: String) -> String {
    path.split(separator: "/").last.map(String.init) ?? path
}

private func trimmed(_ path: String) -> String {
    path.last == "/" ? trimmed(String(path.dropLast())) : path
}

func parentFolder(_ path: String) -> String {
    guard let slash = path.lastIndex(of: "/"), slash != path.startIndex else { return "/" }
    return String(path[..<slash])
}
