import Agent
import ArgumentParser
import FoundationEssentials
import Primitives
import TensorStore

struct CacheCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cache",
        abstract: "Show or clear the weights that this device keeps, so that they travel once.",
        discussion: """
            As a worker a device gets its part of a model over the network. What came is kept, in \
            pieces that are called by their SHA-256, and not sent again at the next launch, also \
            not when the model is split otherwise. GGUF files in the device's models folder serve \
            as well: whatever lies in them need not travel at all.

            Every piece is checked when it is read; a damaged one is deleted and sent again. The \
            store is bounded by caravan agent --cache-limit, and what was used longest ago goes \
            first. Prompts and answers are never kept.
              caravan cache                what is kept, and how often it helped
              caravan cache --json         the same for scripts
              caravan cache clear          frees the disk; the next launch takes longer
            All of this works whether the agent runs or not.
            """,
        subcommands: [CacheShowCommand.self, CacheClearCommand.self],
        defaultSubcommand: CacheShowCommand.self
    )
}

/// Whose store a command is about.
struct CacheFolder: ParsableArguments {
    @Option(help: ArgumentHelp("The state folder of the agent.", valueName: "dir"))
    var state = Folders.state

    var folder: PieceFolder {
        PieceFolder(AgentConfiguration.tensorFolder(in: Folders.absolute(state)))
    }
}

struct CacheShowCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show what is kept, and how often it helped."
    )

    @Flag(help: "Print JSON, with stable keys.")
    var json = false

    @OptionGroup var location: CacheFolder

    private struct Contents: Encodable {
        var path: String
        var entries: Int
        var bytes: UInt64
        var limitBytes: UInt64
        var counts: StoreCounts
        var copiedFiles: Int
        var copiedPieces: Int
        var pendingFiles: Int
    }

    func run() async throws {
        let folder = location.folder
        let entries = folder.entries()
        let used = entries.reduce(UInt64(0)) { $0 + UInt64($1.byteCount) }
        let report =
            folder.report
            ?? StoreReport(limitBytes: folder.defaultLimit(usedByteCount: used).bytes)
        let contents = Contents(
            path: folder.path,
            entries: entries.count,
            bytes: used,
            limitBytes: report.limitBytes,
            counts: report.counts,
            copiedFiles: report.copiedFiles,
            copiedPieces: report.copiedPieces,
            pendingFiles: report.pendingFiles
        )
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
            print(String(decoding: try encoder.encode(contents), as: UTF8.self))
        } else {
            for line in StatusText.columns(rows(contents, isKnown: folder.report != nil)) {
                print(line)
            }
        }
    }

    private func rows(_ contents: Contents, isKnown: Bool) -> [[String]] {
        let counts = contents.counts
        var rows = [
            [
                "kept",
                "\(ByteCount(contents.bytes)) of at most \(ByteCount(contents.limitBytes)), "
                    + "\(contents.entries) pieces",
            ],
            ["in", contents.path],
            [
                "found",
                "\(counts.hits) pieces here, \(counts.copyHits) in GGUF files: "
                    + "\(ByteCount(counts.foundBytes)) did not have to travel",
            ],
            [
                "not found",
                "\(counts.misses) pieces: \(ByteCount(counts.missedBytes)) travelled",
            ],
            ["damaged", "\(counts.corrupt) pieces, deleted and sent again"],
            ["made room", "\(counts.evicted) pieces; \(counts.notKept) were not kept"],
        ]
        var models =
            "\(contents.copiedFiles) GGUF files with \(contents.copiedPieces) pieces, "
            + "which need not be kept"
        if contents.pendingFiles > 0 {
            let all = contents.copiedFiles + contents.pendingFiles
            models = "\(contents.copiedFiles) of \(all) GGUF files read so far"
        }
        rows.append(["own models", isKnown ? models : "not read yet: no agent has run here"])
        return rows
    }
}

struct CacheClearCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clear",
        abstract: "Delete what is kept; the next launch sends it again.",
        discussion: "A model that runs is not disturbed. GGUF files are left alone."
    )

    @OptionGroup var location: CacheFolder

    func run() async throws {
        let folder = location.folder
        let entries = folder.entries()
        do {
            try folder.clear()
        } catch {
            throw CommandFailure("\(folder.path) cannot be cleared: \(error)")
        }
        let used = entries.reduce(UInt64(0)) { $0 + UInt64($1.byteCount) }
        print("Deleted \(entries.count) pieces, \(ByteCount(used))")
    }
}
