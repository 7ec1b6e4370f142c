import CPosix
import Dispatch
import FoundationEssentials
import GGUF
import Primitives
import Synchronization
import SystemPackage
import TensorPieces

/// The pieces of the GGUF files that a device has in its models folder.
///
/// They are found by reading the files once, in the background and at half the speed at most;
/// what was found is kept beside the store, and holds as long as a file's size and time stay. A
/// piece that is read is checked like any other.
final class CopyList: Sendable {
    private let folder: PieceFolder
    private let models: String?
    private let queue = DispatchQueue(label: "caravan.tensors.copies", qos: .background)
    private let state = Mutex(State())

    private struct State {
        var copies = ModelCopies()
        var isStopped = false
        var isSurveyDue = false
        var pending = 0
        var changed: (@Sendable () -> Void)?
    }

    /// The models folder is looked through this often.
    private static let surveyInterval: DispatchTimeInterval = .seconds(30)
    /// A file that changed so lately may be one that is being copied.
    private static let settlingNanoseconds: Int64 = 2_000_000_000

    init(_ folder: PieceFolder, models: String?) {
        self.folder = folder
        self.models = models
    }

    private var listPath: String { folder.path + "/copies" }

    /// - Parameter changed: called on another thread when more is known.
    func begin(changed: @escaping @Sendable () -> Void) {
        guard models != nil else { return }
        state.withLock { $0.changed = changed }
        queue.async { [self] in
            if let data = FileManager.default.contents(atPath: listPath),
                let copies = ModelCopies(decoding: [UInt8](data))
            {
                state.withLock { $0.copies = copies }
            }
        }
        survey()
        surveyLater()
    }

    func stop() {
        state.withLock { state in
            state.isStopped = true
            state.changed = nil
        }
    }

    var summary: (files: Int, pieces: Int, pending: Int) {
        state.withLock { ($0.copies.files.count, $0.copies.pieceCount, $0.pending) }
    }

    private func surveyLater() {
        queue.asyncAfter(deadline: .now() + Self.surveyInterval) { [weak self] in
            guard let self, !isStopped else { return }
            survey()
            surveyLater()
        }
    }

    private var isStopped: Bool { state.withLock { $0.isStopped } }

    /// Reads a piece out of a file that has it; blocks.
    func read(_ name: PieceName, byteCount: Int) -> [UInt8]? {
        guard let place = state.withLock({ $0.copies.place(of: name) }),
            place.byteCount == byteCount
        else { return nil }
        if let file = try? FileDescriptor.open(FilePath(place.path), .readOnly) {
            defer { try? file.close() }
            let bytes = file.bytes(at: place.offset, byteCount: byteCount)
            if bytes.count == byteCount, PieceName(of: bytes[...]) == name { return bytes }
        }
        // The file is another one by now.
        state.withLock { $0.copies.remove(place.path) }
        survey()
        return nil
    }

    // MARK: - The survey

    /// Looks for files that are new, changed or gone.
    func survey() {
        guard let models else { return }
        let isFirst = state.withLock { state in
            guard !state.isStopped else { return false }
            defer { state.isSurveyDue = true }
            return !state.isSurveyDue
        }
        guard isFirst else { return }
        queue.async { [self] in
            state.withLock { $0.isSurveyDue = false }
            survey(models)
        }
    }

    private func survey(_ models: String) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: models)) ?? []
        let paths = names.filter { $0.hasSuffix(".gguf") }.sorted()
            .prefix(ModelCopies.fileLimit).map { models + "/" + $0 }
        let known = state.withLock { $0.copies.files.map { ($0.path, $0.stamp) } }
        var hasChanged = false
        for (path, _) in known where !paths.contains(path) {
            state.withLock { $0.copies.remove(path) }
            hasChanged = true
        }
        let fresh = paths.compactMap { path -> (path: String, stamp: ModelCopies.Stamp)? in
            guard let stamp = Self.stamp(of: path),
                stamp != known.first(where: { $0.0 == path })?.1
            else { return nil }
            return (path, stamp)
        }
        state.withLock { $0.pending = fresh.count }
        for (path, stamp) in fresh {
            guard !isStopped else { return }
            let pieces = pieces(of: path, stamp)
            state.withLock { state in
                state.pending -= 1
                guard let pieces else { return }
                state.copies.put(
                    ModelCopies.File(path: path, stamp: stamp, pieces: pieces)
                )
            }
            hasChanged = hasChanged || pieces != nil
        }
        guard hasChanged else { return }
        try? folder.replace(listPath, with: state.withLock { $0.copies.encoded })
        state.withLock { $0.changed }?()
    }

    private static func stamp(of path: String) -> ModelCopies.Stamp? {
        let stamp = unsafe store_stamp_of(path)
        guard stamp.byte_count > 0, stamp.modified > 0 else { return nil }
        return ModelCopies.Stamp(
            byteCount: UInt64(stamp.byte_count),
            modified: UInt64(stamp.modified)
        )
    }

    /// Nil if the file is being written, or the agent stops; none if it is no model.
    private func pieces(
        of path: String,
        _ stamp: ModelCopies.Stamp
    ) -> [ModelCopies.Piece]? {
        let age = Int64(Date().timeIntervalSince1970 * 1e9) - Int64(clamping: stamp.modified)
        // A time in the future says nothing.
        guard age < 0 || age >= Self.settlingNanoseconds else {
            queue.asyncAfter(deadline: .now() + .seconds(2)) { [weak self] in self?.survey() }
            return nil
        }
        guard let file = try? FileDescriptor.open(FilePath(path), .readOnly) else { return nil }
        defer { try? file.close() }
        guard let header = Self.header(of: file, stamp.byteCount) else { return [] }
        var pieces: [ModelCopies.Piece] = []
        for tensor in header.tensors {
            let start = header.dataOffset + tensor.offset
            for range in PieceCut.pieces(ofTensor: tensor.byteCount) {
                guard !isStopped else { return nil }
                guard pieces.count < ModelCopies.pieceLimit else { return pieces }
                let begin = ContinuousClock.now
                let offset = start + range.lowerBound
                let byteCount = Int(range.upperBound - range.lowerBound)
                let bytes = file.bytes(at: offset, byteCount: byteCount)
                guard bytes.count == byteCount else { return nil }
                pieces.append(
                    ModelCopies.Piece(
                        name: PieceName(of: bytes[...]),
                        offset: offset,
                        byteCount: UInt32(byteCount)
                    )
                )
                Self.rest(since: begin)
            }
        }
        guard Self.stamp(of: path) == stamp else { return nil }
        return pieces
    }

    /// Rests as long as the work took: others come first.
    private static func rest(since begin: ContinuousClock.Instant) {
        let time = ContinuousClock.now - begin
        let microseconds = time.components.attoseconds / 1_000_000_000_000
        store_pause(UInt32(clamping: min(100_000, microseconds)))
    }

    private static func header(of file: FileDescriptor, _ byteCount: UInt64) -> GGUFFile? {
        try? GGUFReader().readHeader(byteCount: byteCount) { offset, count throws(GGUFError) in
            file.bytes(at: offset, byteCount: count)
        }
    }
}
