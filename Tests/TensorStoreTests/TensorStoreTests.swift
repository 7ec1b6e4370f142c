import FoundationEssentials
import GGUF
import Primitives
import Synchronization
import TensorPieces
@testable import TensorStore
import Testing

@Suite struct TensorStoreTests {
    /// A folder of its own that is gone afterwards.
    private func withFolder(
        _ body: (PieceFolder, _ models: String) async throws -> Void
    ) async throws {
        let path =
            FileManager.default.temporaryDirectory.path
            + "/caravan-tensors-\(UInt64.random(in: 0 ... .max))"
        let models = path + "/models"
        try FileManager.default.createDirectory(
            atPath: models,
            withIntermediateDirectories: true
        )
        defer { try? FileManager.default.removeItem(atPath: path) }
        try await body(PieceFolder(path + "/tensors"), models)
    }

    private final class Records: Sendable {
        let all = Mutex<[LogRecord]>([])

        var ids: [String] { all.withLock { $0.map(\.id) } }
    }

    private func store(
        _ folder: PieceFolder,
        limit: ByteCount? = ByteCount(1 << 30),
        models: String? = nil,
        freeByteMinimum: UInt64 = 0,
        _ records: Records = Records()
    ) -> TensorStore {
        TensorStore(
            folder,
            limit: limit,
            models: models,
            freeByteMinimum: freeByteMinimum
        ) { record in records.all.withLock { $0.append(record) } }
    }

    private func piece(_ number: Int, byteCount: Int = 10_000) -> [UInt8] {
        var generator = SeededGenerator(seed: UInt64(number))
        return (0..<byteCount).map { _ in UInt8(truncatingIfNeeded: generator.next()) }
    }

    private func look(
        _ store: TensorStore,
        _ bytes: [UInt8],
        at place: TensorPlace? = nil
    ) async -> [UInt8]? {
        await withCheckedContinuation { continuation in
            store.look(PieceName(of: bytes[...]), byteCount: bytes.count, at: place) {
                continuation.resume(returning: $0)
            }
        }
    }

    private func keep(_ store: TensorStore, _ bytes: [UInt8], since begin: PieceIndex.Use) {
        store.keep(PieceName(of: bytes[...]), bytes, since: begin)
    }

    @Test func `what was kept is there, also in the next life, for this user only`() async throws {
        try await withFolder { folder, _ in
            let first = store(folder)
            let begin = first.begin()
            #expect(await look(first, piece(1)) == nil)
            for number in 1...3 { keep(first, piece(number), since: begin) }
            first.stop()
            #expect(await look(first, piece(2)) == piece(2))
            let counts = first.report.counts
            #expect((counts.hits, counts.misses, counts.stored) == (1, 1, 3))
            first.stop()

            let file = folder.file(of: PieceName(of: piece(1)[...]))
            let modes = try [folder.path, file].map { path in
                try FileManager.default.attributesOfItem(atPath: path)[.posixPermissions] as? Int
            }
            #expect(modes == [0o700, 0o600])

            let second = store(folder)
            #expect(await look(second, piece(3)) == piece(3))
            #expect(second.usedByteCount == 30_000)
            second.stop()
            #expect(folder.report?.counts.hits == 2)
        }
    }

    @Test(arguments: ["flipped", "cut", "longer", "empty", "removed"])
    func `a damaged piece is noticed, deleted and not given`(damage: String) async throws {
        try await withFolder { folder, _ in
            let records = Records()
            let store = store(folder, records)
            let begin = store.begin()
            keep(store, piece(1), since: begin)
            keep(store, piece(2), since: begin)
            store.stop()
            let file = folder.file(of: PieceName(of: piece(1)[...]))
            var bytes = piece(1)
            switch damage {
            case "flipped": bytes[5000] ^= 1
            case "cut": bytes.removeLast(1)
            case "longer": bytes.append(0)
            default: bytes = []
            }
            if damage == "removed" {
                try FileManager.default.removeItem(atPath: file)
            } else {
                try Data(bytes).write(to: URL(filePath: file))
            }
            #expect(await look(store, piece(1)) == nil)
            #expect(await look(store, piece(2)) == piece(2))
            #expect(!FileManager.default.fileExists(atPath: file))
            #expect(store.report.counts.corrupt == (damage == "removed" ? 0 : 1))
            #expect(records.ids == (damage == "removed" ? [] : ["tensors.damaged"]))
            // It is asked for again, and then it is whole.
            keep(store, piece(1), since: begin)
            store.stop()
            #expect(await look(store, piece(1)) == piece(1))
        }
    }

    @Test func `what is not what its name says is not kept`() async throws {
        try await withFolder { folder, _ in
            let store = store(folder)
            store.keep(PieceName(of: piece(1)[...]), piece(2), since: store.begin())
            store.stop()
            #expect(await look(store, piece(1)) == nil)
            #expect(store.report.counts.notKept == 1)
            #expect(folder.entries().isEmpty)
        }
    }

    @Test func `the limit holds, and what was used longest ago goes, also after a restart`()
        async throws
    {
        try await withFolder { folder, _ in
            let first = store(folder, limit: ByteCount(45_000))
            let begin = first.begin()
            for number in 1...4 {
                keep(first, piece(number), since: begin)
                first.stop()
                // The order after a restart follows the files' times.
                try await Task.sleep(for: .milliseconds(15))
            }
            #expect(await look(first, piece(1)) == piece(1))
            first.stop()
            let second = store(folder, limit: ByteCount(45_000))
            keep(second, piece(5), since: second.begin())
            second.stop()
            #expect(await look(second, piece(2)) == nil)
            #expect(await look(second, piece(1)) == piece(1))
            #expect(folder.entries().count == 4)
            #expect(second.report.counts.evicted == 1)
            let third = store(folder, limit: ByteCount(0))
            #expect(await look(third, piece(1)) == nil)
            keep(third, piece(6), since: third.begin())
            third.stop()
            #expect(folder.entries().isEmpty)
        }
    }

    @Test func `a disk that is full is left alone for a while, and said once`() async throws {
        try await withFolder { folder, _ in
            let records = Records()
            let store = store(folder, freeByteMinimum: 1 << 62, records)
            let begin = store.begin()
            for number in 1...5 { keep(store, piece(number), since: begin) }
            store.stop()
            #expect(await look(store, piece(1)) == nil)
            #expect(store.report.counts.notKept == 5)
            #expect(records.ids.filter { $0 == "tensors.notKept" }.count >= 1)
            #expect(!store.isFull)
        }
    }

    @Test func `it can be cleared while an agent uses it`() async throws {
        try await withFolder { folder, _ in
            let store = store(folder)
            let begin = store.begin()
            for number in 1...3 { keep(store, piece(number), since: begin) }
            store.stop()
            try folder.clear()
            #expect(await look(store, piece(1)) == nil)
            keep(store, piece(1), since: begin)
            store.stop()
            #expect(await look(store, piece(1)) == piece(1))
            // At the next launch it knows what is left.
            _ = store.begin()
            #expect(await look(store, piece(2)) == nil)
            #expect(store.usedByteCount == 10_000)
            #expect(store.report.counts.corrupt == 0)
        }
    }

    @Test func `what a crash left half written is removed`() async throws {
        try await withFolder { folder, _ in
            try folder.make()
            let leftover = folder.path + "/pieces/new-7"
            try Data(piece(1)).write(to: URL(filePath: leftover))
            let store = store(folder)
            #expect(await look(store, piece(1)) == nil)
            #expect(!FileManager.default.fileExists(atPath: leftover))
        }
    }

    @Test func `pieces beyond what may wait are not kept, and whoever waits is called`()
        async throws
    {
        try await withFolder { folder, _ in
            let store = store(folder)
            let begin = store.begin()
            let large = piece(1, byteCount: 1 << 20)
            var pieces: [[UInt8]] = []
            for number in 0..<40 as Range<UInt8> {
                pieces.append([number] + large.dropFirst())
            }
            for bytes in pieces { keep(store, bytes, since: begin) }
            await withCheckedContinuation { continuation in
                store.whenRoom(within: .seconds(60)) { continuation.resume() }
            }
            store.stop()
            let counts = store.report.counts
            #expect(counts.stored + counts.notKept == 40)
            #expect(counts.stored >= 8)
        }
    }

    // MARK: - GGUF files

    private func writeModel(_ path: String, seed: UInt64) throws -> [UInt8] {
        var bytes: [UInt8] = []
        try RandomModel(seed: seed).write { bytes += [UInt8](copying: $0) }
        try Data(bytes).write(to: URL(filePath: path))
        return bytes
    }

    private func pieces(of model: [UInt8]) throws -> [(bytes: [UInt8], place: TensorPlace)] {
        let header = try GGUFReader().readHeader(byteCount: UInt64(model.count)) { offset, count in
            Array(model[Int(offset)..<min(model.count, Int(offset) + count)])
        }
        return header.tensors.flatMap { tensor in
            PieceCut.pieces(ofTensor: tensor.byteCount).map { range in
                let start = header.dataOffset + tensor.offset
                let bytes = model[Int(start + range.lowerBound)..<Int(start + range.upperBound)]
                let place = TensorPlace(
                    name: tensor.name,
                    byteCount: tensor.byteCount,
                    offset: range.lowerBound
                )
                return (Array(bytes), place)
            }
        }
    }

    @Test func `the pieces of a GGUF file in the models folder need not be kept`() async throws {
        try await withFolder { folder, models in
            let path = models + "/a.gguf"
            let model = try writeModel(path, seed: 1)
            let pieces = try pieces(of: model)
            #expect(pieces.count > 20)
            let store = store(folder, models: models)
            // At once: the launch waits until the header has been read.
            _ = store.begin()
            for (bytes, place) in pieces { #expect(await look(store, bytes, at: place) == bytes) }
            #expect(store.report.counts.copyHits == UInt64(pieces.count))
            #expect(store.report.copiedFiles == 1)
            #expect(store.report.copiedPieces == pieces.count)
            #expect(await look(store, pieces[0].bytes) == nil)

            // The file becomes another one in the same place, at the same time and of the same size.
            var other = model
            for index in (other.count / 2)..<other.count { other[index] ^= 0x55 }
            let stamp = try FileManager.default.attributesOfItem(atPath: path)[.modificationDate]
            try Data(other).write(to: URL(filePath: path))
            try FileManager.default.setAttributes(
                [.modificationDate: stamp as? Date ?? .now],
                ofItemAtPath: path
            )
            _ = store.begin()
            var found = 0
            for (bytes, place) in pieces {
                let read = await look(store, bytes, at: place)
                #expect(read == nil || read == bytes)
                if read != nil { found += 1 }
            }
            #expect(0 < found && found < pieces.count)
            try FileManager.default.removeItem(atPath: path)
            _ = store.begin()
            #expect(await look(store, pieces[0].bytes, at: pieces[0].place) == nil)
            #expect(store.report.copiedFiles == 0)
            store.stop()
        }
    }

    @Test func `of several files of the same build the one with the wanted weights is found`()
        async throws
    {
        try await withFolder { folder, models in
            var pieces: [(bytes: [UInt8], place: TensorPlace)] = []
            for seed in 1...9 as ClosedRange<UInt64> {
                let model = try writeModel(models + "/m\(seed).gguf", seed: seed)
                if seed == 8 { pieces = try self.pieces(of: model) }
            }
            let store = store(folder, models: models)
            _ = store.begin()
            // Four are asked for a piece; who had it is asked first from then on.
            for (number, (bytes, place)) in pieces.enumerated() {
                #expect(await look(store, bytes, at: place) == (number == 0 ? nil : bytes))
            }
            store.stop()
        }
    }

    @Test func `files that are no models, or not whole yet, have nothing, until they do`()
        async throws
    {
        try await withFolder { folder, models in
            try Data("no model".utf8).write(to: URL(filePath: models + "/a.gguf"))
            let path = models + "/b.gguf"
            let model = try writeModel(path, seed: 2)
            let (bytes, place) = try #require(try pieces(of: model).last)
            try Data(model.prefix(model.count / 2)).write(to: URL(filePath: path))
            let store = store(folder, models: models)
            _ = store.begin()
            #expect(await look(store, bytes, at: place) == nil)
            #expect(store.report.copiedPieces == 0)
            try Data(model).write(to: URL(filePath: path))
            _ = store.begin()
            #expect(await look(store, bytes, at: place) == bytes)
            #expect(store.report.copiedFiles == 2)
            store.stop()
        }
    }
}
