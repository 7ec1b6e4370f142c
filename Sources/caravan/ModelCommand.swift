import ArgumentParser
import FoundationEssentials
import GGUF
import Primitives
import SystemPackage

struct ModelCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "model",
        abstract: "See, fetch and make model files.",
        subcommands: [ModelListCommand.self, ModelGetCommand.self, TinyCommand.self]
    )
}

struct TinyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tiny",
        abstract: "Write a small GGUF with random weights: it loads fast and talks nonsense.",
        discussion: "The same size and seed give the same file, byte for byte."
    )

    @Argument(help: "The file to write.")
    var out: String

    @Option(help: ArgumentHelp("About how large, as 12MB or 500MiB.", valueName: "amount"))
    var size: String?

    @Option(help: "Another seed gives other weights.")
    var seed: UInt64 = 1

    func run() async throws {
        var shape = ModelShape.tiny
        if let size {
            guard let byteCount = ByteCount(size), byteCount >= ModelShape.smallestByteCount,
                byteCount <= ModelShape.byteCountLimit
            else {
                throw ValidationError(
                    "--size takes an amount from \(ModelShape.smallestByteCount) to "
                        + "\(ModelShape.byteCountLimit), as 12MB, not '\(size)'"
                )
            }
            shape = ModelShape(near: byteCount)
        }
        try TinyModel.write(shape, seed: seed, to: Folders.absolute(out)) { written, total in
            Output.writeError("writing \(out): \(100 * written / max(1, total)) %")
        }
        print("\(out): \(shape.layerCount) layers, seed \(seed)")
    }
}

enum TinyModel {
    /// Progress is told about every two seconds' worth of writing.
    private static let progressStep: UInt64 = 64 << 20

    /// Writes a random model aside, and moves it to its place when it is whole.
    static func write(
        _ shape: ModelShape,
        seed: UInt64,
        to path: String,
        onProgress: (_ written: UInt64, _ total: UInt64) -> Void = { _, _ in }
    ) throws {
        let folder = path.split(separator: "/", omittingEmptySubsequences: false).dropLast()
            .joined(separator: "/")
        if !folder.isEmpty {
            try FileManager.default.createDirectory(
                atPath: folder,
                withIntermediateDirectories: true
            )
        }
        let model = try RandomModel(shape: shape, seed: seed)
        let aside = path + ".part"
        let file = try FileDescriptor.open(
            FilePath(aside),
            .writeOnly,
            options: [.create, .truncate],
            permissions: [.ownerReadWrite, .groupRead, .otherRead]
        )
        try file.closeAfter {
            var written: UInt64 = 0
            var told: UInt64 = 0
            try model.write { bytes in
                try file.writeAll([UInt8](copying: bytes))
                written += UInt64(bytes.count)
                if written - told >= progressStep {
                    told = written
                    onProgress(written, model.byteCount)
                }
            }
        }
        if FileManager.default.fileExists(atPath: path) {
            try FileManager.default.removeItem(atPath: path)
        }
        try FileManager.default.moveItem(atPath: aside, toPath: path)
    }
}
