internal import FoundationEssentials

/// The mirror that this machine is set up to use, and the keyring that its packages are checked by.
struct DebianMirror: Hashable {
    var uri: String
    var keyring: String

    private static let keyrings = [
        "/usr/share/keyrings/debian-archive-keyring.gpg",
        "/usr/share/keyrings/debian-archive-keyring.pgp",
    ]

    /// Reads the package sources under `root`, which is `/` but in tests.
    static func configured(root: String = "") throws(EngineError) -> DebianMirror {
        let folder = root + "/etc/apt/sources.list.d"
        let files =
            [root + "/etc/apt/sources.list"]
            + folderContents(folder).filter { $0.hasSuffix(".list") || $0.hasSuffix(".sources") }
            .map { folder + "/" + $0 }
        var sources = AptSources()
        var filesRead: [String] = []
        for file in files {
            guard let text = textFile(file) else { continue }
            sources.read(text, fileName: file)
            filesRead.append(file)
        }
        let release = textFile(root + "/etc/os-release") ?? textFile(root + "/usr/lib/os-release")
        guard let entry = sources.mainArchive(codename: codename(in: release ?? "")) else {
            throw .noMirror(filesRead: filesRead)
        }
        let candidates = (entry.keyring.map { [$0] } ?? []) + keyrings.map { root + $0 }
        guard let keyring = candidates.first(where: FileManager.default.fileExists(atPath:)) else {
            throw .noKeyring
        }
        return DebianMirror(uri: entry.uri, keyring: keyring)
    }

    static func codename(in release: String) -> String? {
        let prefix = "VERSION_CODENAME="
        guard let line = release.split(separator: "\n").first(where: { $0.hasPrefix(prefix) })
        else { return nil }
        let name = line.dropFirst(prefix.count).filter { $0 != "\"" && $0 != "'" }
        return name.isEmpty ? nil : String(name)
    }
}

/// A file's text, with invalid UTF-8 repaired; nil when it cannot be read.
func textFile(_ path: String) -> String? {
    guard let data = FileManager.default.contents(atPath: path) else { return nil }
    return String(decoding: data, as: UTF8.self)
}
