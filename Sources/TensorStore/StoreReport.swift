import CPosix
import FoundationEssentials
package import Primitives
import SystemPackage

/// What a store did so far, over all lives of its agent.
package struct StoreCounts: Codable, Equatable, Sendable {
    /// Pieces that were found in the store, in a GGUF file of the device, or not at all.
    package var hits: UInt64 = 0
    package var copyHits: UInt64 = 0
    package var misses: UInt64 = 0
    package var foundBytes: UInt64 = 0
    package var missedBytes: UInt64 = 0
    /// Pieces that were not what their name says; each was deleted and asked for again.
    package var corrupt: UInt64 = 0
    package var stored: UInt64 = 0
    package var evicted: UInt64 = 0
    /// Pieces that found no room, came faster than the disk takes them, or could not be written.
    package var notKept: UInt64 = 0

    package init() {}
}

/// What an agent leaves beside its store for `caravan cache`.
package struct StoreReport: Codable, Equatable, Sendable {
    package var limitBytes: UInt64
    package var counts: StoreCounts
    /// GGUF files of the device whose pieces are known, and how many those are.
    package var copiedFiles: Int
    package var copiedPieces: Int
    /// Files that are being read.
    package var pendingFiles: Int

    package init(limitBytes: UInt64) {
        self.limitBytes = limitBytes
        counts = StoreCounts()
        copiedFiles = 0
        copiedPieces = 0
        pendingFiles = 0
    }
}

extension PieceFolder {
    private var reportPath: String { path + "/report.json" }

    /// What the agent said last; nil if there is nothing that can be read.
    package var report: StoreReport? {
        guard let data = FileManager.default.contents(atPath: reportPath) else { return nil }
        return try? JSONDecoder().decode(StoreReport.self, from: data)
    }

    func save(_ report: StoreReport) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
        try replace(reportPath, with: [UInt8](try encoder.encode(report)))
    }

    /// Writes a small file aside and moves it to its place.
    func replace(_ path: String, with bytes: [UInt8]) throws {
        let file = try FileDescriptor.open(
            FilePath(path + ".new"),
            .writeOnly,
            options: [.create, .truncate],
            permissions: [.ownerReadWrite]
        )
        try file.closeAfter { _ = try file.writeAll(bytes) }
        guard unsafe agent_rename(path + ".new", path) == 0 else { throw Errno.ioError }
    }

    /// What a store takes if nobody says: a quarter of what is free, at most 20 GiB.
    ///
    /// - Parameter usedByteCount: what the store has already, which counts as free.
    package func defaultLimit(usedByteCount: UInt64) -> ByteCount {
        let free = (freeByteCount ?? 0) + usedByteCount
        return ByteCount(min(20 << 30, free / 4))
    }
}
