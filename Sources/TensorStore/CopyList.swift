import CPosix
import Dispatch
import FoundationEssentials
import GGUF
import Primitives
import Synchronization
import SystemPackage
import TensorPieces

/// The GGUF files that a device has in its models folder, as a store of weights.
///
/// Of a file only the header is read beforehand, which takes milliseconds; a piece is cut out of
/// it, and checked, when somebody asks for it.
final class CopyList: Sendable {
    private let models: String?
    private let queue = DispatchQueue(label: "caravan.tensors.copies")
    private let state = Mutex(State())
    /// Whether a survey is due or under way.
    private let surveys = DispatchGroup()

    private struct State {
        var copies = ModelCopies()
        var isStopped = false
        var isSurveyDue = false
        var pending = 0
        var waitsUntil = DispatchTime.now()
        var changed: (@Sendable () -> Void)?
    }

    /// The models folder is looked through this often, besides at every launch.
    private static let surveyInterval: DispatchTimeInterval = .seconds(30)
    /// A launch waits for headers no longer, and goes on with those that have been read.
    private static let surveyLimit: DispatchTimeInterval = .seconds(10)

    init(_ folder: PieceFolder, models: String?) {
        self.models = models
        // Earlier agents kept a list.
        _ = unsafe store_remove(folder.path + "/copies")
    }

    /// - Parameter changed: called on another thread when more is known, or there is more to read.
    func follow(changed: @escaping @Sendable () -> Void) {
        guard models != nil else { return }
        state.withLock { $0.changed = changed }
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
        state.withLock { ($0.copies.paths.count, $0.copies.pieceCount, $0.pending) }
    }

    private func surveyLater() {
        queue.asyncAfter(deadline: .now() + Self.surveyInterval) { [weak self] in
            guard let self, !isStopped else { return }
            survey()
            surveyLater()
        }
    }

    private var isStopped: Bool { state.withLock { $0.isStopped } }

    // MARK: - A launch

    /// A launch begins: looks whether all files are still the same.
    func begin() {
        state.withLock { $0.copies.begin() }
        survey()
    }

    /// Blocks until that is known, but not for long.
    func awaitSurvey() {
        _ = surveys.wait(timeout: state.withLock { $0.waitsUntil })
    }

    /// Reads a piece out of a file that has it; blocks.
    func read(_ name: PieceName, byteCount: Int, at place: TensorPlace?) -> [UInt8]? {
        guard let place else { return nil }
        let places = state.withLock { $0.copies.places(of: place, byteCount: byteCount) }
        for candidate in places {
            if let file = try? FileDescriptor.open(FilePath(candidate.path), .readOnly) {
                defer { try? file.close() }
                let bytes = file.bytes(at: candidate.offset, byteCount: byteCount)
                if bytes.count == byteCount, PieceName(of: bytes[...]) == name {
                    state.withLock { $0.copies.matched(candidate.path) }
                    return bytes
                }
            }
            state.withLock { $0.copies.missed(candidate.path) }
        }
        return nil
    }

    // MARK: - The survey

    /// Looks for files that are new, changed or gone.
    private func survey() {
        guard let models else { return }
        let isFirst = state.withLock { state in
            guard !state.isStopped else { return false }
            state.waitsUntil = .now() + Self.surveyLimit
            defer { state.isSurveyDue = true }
            return !state.isSurveyDue
        }
        guard isFirst else { return }
        surveys.enter()
        queue.async { [self] in
            state.withLock { $0.isSurveyDue = false }
            survey(models)
            surveys.leave()
        }
    }

    private func survey(_ models: String) {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: models)) ?? []
        let paths = names.filter { $0.hasSuffix(".gguf") }.sorted()
            .prefix(ModelCopies.fileLimit).map { models + "/" + $0 }
        let known = state.withLock { state in
            state.copies.paths.map { ($0, state.copies.stamp(of: $0)) }
        }
        let here = Set(paths)
        let gone = known.filter { !here.contains($0.0) }
        let stamps = Dictionary(known) { first, _ in first }
        let fresh = paths.compactMap { path -> (path: String, stamp: ModelCopies.Stamp)? in
            guard let stamp = Self.stamp(of: path), stamp != stamps[path] ?? nil else {
                return nil
            }
            return (path, stamp)
        }
        guard !gone.isEmpty || !fresh.isEmpty else { return }
        state.withLock { state in
            for (path, _) in gone { state.copies.remove(path) }
            state.pending = fresh.count
        }
        tell()
        for (path, stamp) in fresh {
            guard !isStopped else { return }
            let tensors = Self.tensors(of: path, stamp.byteCount)
            state.withLock { state in
                state.pending -= 1
                state.copies.put(path, stamp, tensors)
            }
        }
        tell()
    }

    private func tell() { state.withLock { $0.changed }?() }

    private static func stamp(of path: String) -> ModelCopies.Stamp? {
        let stamp = unsafe store_stamp_of(path)
        guard stamp.byte_count > 0, stamp.modified > 0 else { return nil }
        return ModelCopies.Stamp(
            byteCount: UInt64(stamp.byte_count),
            modified: UInt64(stamp.modified)
        )
    }

    /// None if it is no model, or not whole yet: then its stamp will be another one.
    private static func tensors(of path: String, _ byteCount: UInt64) -> [ModelCopies.Tensor] {
        guard let file = try? FileDescriptor.open(FilePath(path), .readOnly) else { return [] }
        defer { try? file.close() }
        let header = try? GGUFReader().readHeader(byteCount: byteCount) {
            offset,
            count throws(GGUFError) in
            file.bytes(at: offset, byteCount: count)
        }
        guard let header else { return [] }
        return header.tensors.map { tensor in
            ModelCopies.Tensor(
                name: tensor.name,
                offset: header.dataOffset + tensor.offset,
                byteCount: tensor.byteCount
            )
        }
    }
}
