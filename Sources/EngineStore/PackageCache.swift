internal import FoundationEssentials
internal import Processes

/// A folder of downloaded packages from which an engine can be installed without a network.
///
/// A list of the packages with their SHA-256, written last, says that the folder is complete; it
/// has the format of `sha256sum`, which writes and checks it.
struct PackageCache: Sendable {
    let folder: String
    /// Debian's name of the kind of machine: `amd64`.
    let architecture: String
    let guardBinary: ProcessGuard.Binary

    private static let checkTimeout = Duration.seconds(300)

    private var listPath: String { folder + "/engine-\(architecture).sha256" }

    /// The packages, if all are there and unchanged; nil otherwise.
    func completeFiles() async throws -> [String]? {
        guard let list = textFile(listPath), let sha256sum = findTool("sha256sum") else {
            return nil
        }
        let names = list.split(separator: "\n").compactMap { line in
            line.split(separator: " ").last.map(String.init)
        }
        let isWhole = PackageDownload.packages.allSatisfy { package in
            names.contains { $0.hasPrefix(package + "_") }
        }
        guard isWhole, names.allSatisfy({ $0.hasSuffix(".deb") && !$0.contains("/") }) else {
            return nil
        }
        let check = try await runForOutput(
            ChildCommand(
                executable: sha256sum,
                arguments: ["--check", "--quiet", "--strict", listPath],
                workingDirectory: folder
            ),
            guardedBy: guardBinary,
            timeout: Self.checkTimeout
        )
        return check.exit.isSuccess ? names : nil
    }

    /// Marks these packages of the folder as complete.
    func seal(_ names: [String]) async throws {
        guard let sha256sum = findTool("sha256sum") else { return }
        let sums = try await runForOutput(
            ChildCommand(
                executable: sha256sum,
                arguments: ["--"] + names.sorted(),
                workingDirectory: folder
            ),
            guardedBy: guardBinary,
            timeout: Self.checkTimeout
        )
        guard sums.exit.isSuccess else {
            throw EngineError.installFailed(
                step: "filling the package cache",
                reason: sums.standardError
            )
        }
        try writeFile(listPath, sums.standardOutput)
        try? FileManager.default.removeItem(atPath: folder + "/partial")
    }
}

/// A program of the system, looked for where systems have them.
func findTool(_ name: String) -> String? {
    ["/usr/bin", "/bin", "/usr/sbin", "/sbin", "/usr/local/bin"].map { "\($0)/\(name)" }
        .first { FileManager.default.isExecutableFile(atPath: $0) }
}
