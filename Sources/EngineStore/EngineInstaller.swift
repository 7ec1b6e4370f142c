internal import FoundationEssentials
package import Processes

/// Puts Debian's llama.cpp into a private folder, without root and beside any C library.
///
/// Debian's newer suites carry llama.cpp with RPC support; the packages and all that they need are
/// fetched from the mirror that the machine is set up with, and run with their own loader. The
/// folder appears whole or not at all: everything is made and tried beside it, then renamed.
package struct EngineInstaller: Sendable {
    /// The folder that becomes the engine; its parent is made when it is missing.
    package var folder: String
    /// Packages are kept here and taken from here; nil keeps none.
    package var cacheFolder: String?
    package var guardBinary: ProcessGuard.Binary
    /// Called on any thread.
    package var progress: @Sendable (InstallProgress) -> Void

    package init(
        into folder: String,
        cache cacheFolder: String? = nil,
        guardedBy guardBinary: ProcessGuard.Binary = .ownExecutable,
        progress: @escaping @Sendable (InstallProgress) -> Void = { _ in }
    ) {
        self.folder = folder
        self.cacheFolder = cacheFolder
        self.guardBinary = guardBinary
        self.progress = progress
    }

    /// Returns the engine in the folder, installing it unless a working one is there.
    ///
    /// A failure, also a cancellation, leaves what was there before; an interrupted run leaves a
    /// folder `….installing` that the next run clears.
    package func install() async throws -> Engine {
        if let engine = await installedEngine() { return engine }
        let folder = absolutePath(folder)
        try makeFolder(parentFolder(folder))
        guard let lock = try FileLock(path: folder + ".lock") else {
            throw EngineError.alreadyInstalling(lock: folder + ".lock")
        }
        defer { withExtendedLifetime(lock) {} }
        // Somebody else may have been faster.
        if let engine = await installedEngine() { return engine }
        let staging = folder + ".installing"
        try await removeIfThere(staging)
        defer { try? FileManager.default.removeItem(atPath: staging) }
        try makeFolder(staging)
        try await build(in: staging)
        progress(InstallProgress(.verifying))
        try await tried(staging + "/engine")
        try Task.checkCancellation()
        try await removeIfThere(folder)
        try FileManager.default.moveItem(atPath: staging + "/engine", toPath: folder)
        let engine = try await tried(folder)
        progress(InstallProgress(.installed))
        return engine
    }

    private func installedEngine() async -> Engine? {
        guard let engine = try? await tried(absolutePath(folder)) else { return nil }
        progress(InstallProgress(.alreadyInstalled))
        return engine
    }

    @discardableResult
    private func tried(_ folder: String) async throws -> Engine {
        guard let programs = try EngineBundle.programs(in: folder) else {
            throw EngineError.incomplete(folder: folder, missing: EngineLocator.serverName)
        }
        return try await EngineProbe(guardedBy: guardBinary).engine(of: programs)
    }

    // MARK: - Steps

    private func build(in staging: String) async throws {
        guard let dpkgDeb = findTool("dpkg-deb"), let dpkg = findTool("dpkg") else {
            throw EngineError.toolMissing("dpkg-deb")
        }
        let packages = try await packages(staging: staging, dpkg: dpkg)
        let assembly = EngineAssembly(
            dpkgDeb: dpkgDeb,
            unpackFolder: staging + "/root",
            targetFolder: staging + "/engine",
            guardBinary: guardBinary
        )
        try await assembly.unpack(packages) {
            progress(InstallProgress(.unpacking, fraction: $0))
        }
        progress(InstallProgress(.collecting))
        try await assembly.collect()
        try Task.checkCancellation()
        let names = packages.map { lastComponent($0) + "\n" }
        try writeFile(staging + "/engine/packages.txt", names.joined())
    }

    /// The package files, from the cache when it is complete, else from the mirror.
    private func packages(staging: String, dpkg: String) async throws -> [String] {
        guard let cacheFolder else {
            let archives = staging + "/archives"
            return try await download(to: archives, staging: staging).map { archives + "/" + $0 }
        }
        let folder = absolutePath(cacheFolder)
        try makeFolder(folder)
        let cache = PackageCache(
            folder: folder,
            architecture: try await architecture(dpkg),
            guardBinary: guardBinary
        )
        if let names = try await cache.completeFiles() {
            progress(InstallProgress(.fromCache(folder: folder)))
            return names.map { folder + "/" + $0 }
        }
        let names = try await download(to: folder, staging: staging)
        try await cache.seal(names)
        return names.map { folder + "/" + $0 }
    }

    private func download(to archiveFolder: String, staging: String) async throws -> [String] {
        guard let aptGet = findTool("apt-get") else { throw EngineError.toolMissing("apt-get") }
        return try await PackageDownload(
            mirror: DebianMirror.configured(),
            aptGet: aptGet,
            workFolder: staging + "/apt",
            archiveFolder: archiveFolder,
            guardBinary: guardBinary,
            progress: progress
        ).run()
    }

    private func architecture(_ dpkg: String) async throws -> String {
        let output = try await runForOutput(
            ChildCommand(executable: dpkg, arguments: ["--print-architecture"]),
            guardedBy: guardBinary,
            timeout: .seconds(30)
        )
        return String(output.standardOutput.prefix { $0.isLetter || $0.isNumber || $0 == "-" })
    }

    // MARK: - Files

    private func makeFolder(_ path: String) throws {
        do {
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: true
            )
        } catch {
            throw EngineError.installFailed(step: "making the folder \(path)", reason: "\(error)")
        }
    }

    /// Removes a folder; tries again for a while, because the unpacking child of an installer that
    /// was killed may write on for a moment.
    private func removeIfThere(_ path: String) async throws {
        var attempt = 1
        while FileManager.default.fileExists(atPath: path) {
            do {
                try FileManager.default.removeItem(atPath: path)
            } catch {
                guard attempt < Self.removalAttemptLimit else {
                    throw EngineError.installFailed(step: "removing \(path)", reason: "\(error)")
                }
                attempt += 1
                try await Task.sleep(for: .milliseconds(100))
            }
        }
    }

    private static let removalAttemptLimit = 50
}

/// apt and the loader need absolute paths.
func absolutePath(_ path: String) -> String {
    var path = path.hasPrefix("/") ? path : FileManager.default.currentDirectoryPath + "/" + path
    while path.count > 1, path.hasSuffix("/") { path.removeLast() }
    return path
}
