internal import Primitives

/// Which pieces lie in GGUF files that the device has anyway, and where.
package struct ModelCopies: Equatable, Sendable {
    package struct Piece: Equatable, Sendable {
        package var name: PieceName
        package var offset: UInt64
        package var byteCount: UInt32

        package init(name: PieceName, offset: UInt64, byteCount: UInt32) {
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

    package struct File: Equatable, Sendable {
        package var path: String
        package var stamp: Stamp
        package var pieces: [Piece]

        package init(path: String, stamp: Stamp, pieces: [Piece]) {
            self.path = path
            self.stamp = stamp
            self.pieces = pieces
        }
    }

    /// Where a piece is to be found.
    package struct Place: Equatable, Sendable {
        package var path: String
        package var offset: UInt64
        package var byteCount: Int
    }

    package private(set) var files: [File] = []
    /// Only looked up, never iterated: file and piece.
    private var places: [PieceName: (file: Int, piece: Int)] = [:]

    package static let fileLimit = 1000
    /// A quarter of a million pieces are 256 GiB of models, and 20 MB of memory.
    package static let pieceLimit = 1 << 18

    package init() {}

    package static func == (left: Self, right: Self) -> Bool {
        left.files == right.files
    }

    package var pieceCount: Int { files.reduce(0) { $0 + $1.pieces.count } }

    package func place(of name: PieceName) -> Place? {
        places[name].map { place in
            let file = files[place.file]
            let piece = file.pieces[place.piece]
            return Place(path: file.path, offset: piece.offset, byteCount: Int(piece.byteCount))
        }
    }

    package func stamp(of path: String) -> Stamp? {
        files.first { $0.path == path }?.stamp
    }

    /// Adds a file, in place of what was known of it; what exceeds the limits is left out.
    package mutating func put(_ file: File) {
        remove(file.path)
        guard files.count < Self.fileLimit else { return }
        var file = file
        file.pieces = Array(file.pieces.prefix(Self.pieceLimit - pieceCount))
        files.append(file)
        index(files.count - 1)
    }

    package mutating func remove(_ path: String) {
        guard let number = files.firstIndex(where: { $0.path == path }) else { return }
        files.remove(at: number)
        places = [:]
        for number in files.indices { index(number) }
    }

    private mutating func index(_ number: Int) {
        for (place, piece) in files[number].pieces.enumerated() where places[piece.name] == nil {
            places[piece.name] = (number, place)
        }
    }
}

// MARK: - Between the agent's lives

extension ModelCopies {
    private static let magic = Array("caravan copies 1".utf8)
    private static let pathByteLimit = 4096

    /// The list as it is kept, with a SHA-256 of all before at its end.
    package var encoded: [UInt8] {
        var bytes = Self.magic
        bytes.append(bigEndian: UInt32(files.count))
        for file in files {
            let path = Array(file.path.utf8.prefix(Self.pathByteLimit))
            bytes.append(bigEndian: UInt16(path.count))
            bytes += path
            bytes.append(bigEndian: file.stamp.byteCount)
            bytes.append(bigEndian: file.stamp.modified)
            bytes.append(bigEndian: UInt32(file.pieces.count))
            for piece in file.pieces {
                piece.name.append(to: &bytes)
                bytes.append(bigEndian: piece.offset)
                bytes.append(bigEndian: piece.byteCount)
            }
        }
        PieceName(of: bytes[...]).append(to: &bytes)
        return bytes
    }

    /// Reads what was kept; nil for anything else, and then the files are read again.
    package init?(decoding bytes: [UInt8]) {
        guard bytes.count > PieceName.byteCount else { return nil }
        let body = bytes.dropLast(PieceName.byteCount)
        guard PieceName(of: body) == PieceName(digest: bytes[body.endIndex...]) else { return nil }
        self.init(unchecked: Array(body))
    }

    /// Reads what stands before the checksum.
    package init?(unchecked bytes: [UInt8]) {
        self.init()
        guard bytes.starts(with: Self.magic) else { return nil }
        var offset = Self.magic.count
        do throws(TruncatedBytes) {
            let span = bytes.span
            let fileCount = try span.readBigEndian(UInt32.self, at: &offset)
            guard fileCount <= Self.fileLimit else { return nil }
            for _ in 0..<fileCount {
                let pathByteCount = Int(try span.readBigEndian(UInt16.self, at: &offset))
                guard pathByteCount <= Self.pathByteLimit else { return nil }
                let path = try span.readBytes(pathByteCount, at: &offset)
                var file = File(
                    path: String(decoding: path, as: UTF8.self),
                    stamp: Stamp(
                        byteCount: try span.readBigEndian(at: &offset),
                        modified: try span.readBigEndian(at: &offset)
                    ),
                    pieces: []
                )
                let count = Int(try span.readBigEndian(UInt32.self, at: &offset))
                guard count + pieceCount <= Self.pieceLimit else { return nil }
                for _ in 0..<count {
                    let name = try span.readBytes(PieceName.byteCount, at: &offset)
                    let piece = Piece(
                        name: PieceName(digest: name[...]),
                        offset: try span.readBigEndian(at: &offset),
                        byteCount: try span.readBigEndian(at: &offset)
                    )
                    guard 1...PieceLimits.pieceByteLimit ~= Int(piece.byteCount) else {
                        return nil
                    }
                    file.pieces.append(piece)
                }
                put(file)
            }
        } catch {
            return nil
        }
        guard offset == bytes.count else { return nil }
    }
}
