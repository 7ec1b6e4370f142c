import Foundation

/// A folder that goes when the test ends.
final class TemporaryFolder {
    let path: String

    init() throws {
        let url = FileManager.default.temporaryDirectory.appending(path: "caravan-\(UUID())")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
        path = url.path(percentEncoded: false)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: path)
    }

    func write(_ name: String, _ text: String, executable: Bool = false) throws {
        let url = URL(filePath: path).appending(path: name)
        try FileManager.default.createDirectory(
            at: url.deletingLastPathComponent(),
            withIntermediateDirectories: true
        )
        let attributes: [FileAttributeKey: Any] = [.posixPermissions: executable ? 0o755 : 0o644]
        _ = FileManager.default.createFile(
            atPath: url.path(percentEncoded: false),
            contents: Data(text.utf8),
            attributes: attributes
        )
    }

    /// Scripts that answer as llama.cpp's programs do.
    func writeEngine(
        in folder: String,
        rpcServerName: String = "ggml-rpc-server",
        version: String = "6527 (a91d035b)",
        help: String = "--rpc SERVERS  servers"
    ) throws {
        let server = """
            #!/bin/sh
            case $1 in
            --version) echo "version: \(version)" >&2 ;;
            --help) echo "\(help)" ;;
            esac
            """
        try write(folder + "/llama-server", server, executable: true)
        let rpcServer = """
            #!/bin/sh
            case $1 in
            --help) echo "  -c, --cache  cache" >&2 ;;
            *) echo "Starting RPC server v3.6.0" >&2 ;;
            esac
            """
        try write(folder + "/" + rpcServerName, rpcServer, executable: true)
    }
}
