/// Where the tensors of the GGUF files lie that the device has anyway.
///
/// Only their headers were read: whether a file has the bytes that are wanted, and not those of
/// another model with tensors of the same names and sizes, is known when they were read. So those
/// are asked first that had what was wanted, and no more those that did not, again and again.
package struct ModelCopies: Sendable {
    package struct Tensor: Equatable, Sendable {
        package var name: String
        /// In the file.
        package var offset: UInt64
        package var byteCount: UInt64

        package init(name: String, offset: UInt64, byteCount: UInt64) {
            self.name = name
            self.offset = offset
            self.byteCount = byteCount
        }
    }

    /// What tells that a file has not changed.
    package struct Stamp: Equatable, Sendable {
        package var byteCount: UInt64
        /// Nanoseconds since 1970.
        package var modified: UInt64

        package init(byteCount: UInt64, modified: UInt64) {
            self.byteCount = byteCount
            self.modified = modified
        }
    }

    /// Where a piece may be.
    package struct Place: Equatable, Sendable {
        package var path: String
        package var offset: UInt64
    }

    private struct File {
        let path: String
        let stamp: Stamp
        let pieceCount: Int
        /// Only looked up, never iterated.
        let tensors: [String: Tensor]
        /// How often it was asked in vain since it had something, or a launch began.
        var missCount = 0
    }

    /// Who had what was wanted last comes first.
    private var files: [File] = []

    package static let fileLimit = 1000
    /// A large model has two thousand; so many cost 30 MB of memory.
    package static let tensorLimit = 1 << 18
    /// So many files are asked for one piece.
    package static let placeLimit = 4
    /// Nothing more is asked of a file that so often had something else.
    package static let missLimit = 32

    package init() {}

    package var paths: [String] { files.map(\.path) }
    package var pieceCount: Int { files.reduce(0) { $0 + $1.pieceCount } }

    package func stamp(of path: String) -> Stamp? {
        files.first { $0.path == path }?.stamp
    }

    /// Adds a file, in place of what was known of it; what exceeds the limits is left out.
    package mutating func put(_ path: String, _ stamp: Stamp, _ tensors: [Tensor]) {
        remove(path)
        guard files.count < Self.fileLimit else { return }
        let room = Self.tensorLimit - files.reduce(0) { $0 + $1.tensors.count }
        let kept = tensors.prefix(room)
        files.append(
            File(
                path: path,
                stamp: stamp,
                pieceCount: kept.reduce(0) { $0 + PieceCut.pieces(ofTensor: $1.byteCount).count },
                tensors: Dictionary(kept.map { ($0.name, $0) }) { first, _ in first }
            )
        )
    }

    package mutating func remove(_ path: String) {
        files.removeAll { $0.path == path }
    }

    // MARK: - A launch

    /// A launch begins: it may be of another model.
    package mutating func begin() {
        for index in files.indices { files[index].missCount = 0 }
    }

    /// Where a piece of a tensor may be, the likeliest place first.
    package func places(of piece: TensorPlace, byteCount: Int) -> [Place] {
        let likely = files.indices.filter { index in
            let file = files[index]
            guard file.missCount < Self.missLimit, let tensor = file.tensors[piece.name] else {
                return false
            }
            return tensor.byteCount == piece.byteCount && piece.offset <= tensor.byteCount
                && UInt64(byteCount) <= tensor.byteCount - piece.offset
        }.sorted { (files[$0].missCount, $0) < (files[$1].missCount, $1) }
        return likely.prefix(Self.placeLimit).compactMap { index in
            files[index].tensors[piece.name].map { tensor in
                Place(path: files[index].path, offset: tensor.offset + piece.offset)
            }
        }
    }

    /// The file had what was wanted.
    package mutating func matched(_ path: String) {
        guard let index = files.firstIndex(where: { $0.path == path }) else { return }
        files[index].missCount = 0
        if index > 0 { files.insert(files.remove(at: index), at: 0) }
    }

    /// It had something else there.
    package mutating func missed(_ path: String) {
        guard let index = files.firstIndex(where: { $0.path == path }) else { return }
        files[index].missCount += 1
    }
}
