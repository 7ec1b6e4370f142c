import CPosix
import FoundationEssentials
import Primitives
import SystemPackage
package import TensorPieces

/// The pieces on the disk: a file each, called by its name, in 256 folders.
///
/// Files rather than one large pack: a damaged or an old piece is gone by removing its file, and
/// nothing ever has to be moved. At up to 1 MiB a piece there are thousands of them, not millions.
/// What is written appears whole or not at all; it need not survive a power cut, for whatever is
/// read is checked.
package struct PieceFolder: Sendable {
    package let path: String
    private var pieces: String { path + "/pieces" }

    /// - Parameter path: made when it is missing, for this user only.
    package init(_ path: String) {
        self.path = path
    }

    package enum Found: Equatable {
        case bytes([UInt8])
        case missing
        /// Not what its name says: torn, changed, or not to be read.
        case damaged
    }

    package struct Entry: Equatable, Sendable {
        package var name: PieceName
        package var byteCount: Int
        package var modified: Int64
    }

    package func make() throws {
        try Self.makeFolder(pieces)
    }

    private static func makeFolder(_ path: String) throws {
        try FileManager.default.createDirectory(
            atPath: path,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700]
        )
    }

    private func folder(of text: String) -> String { pieces + "/" + text.prefix(2) }

    package func file(of name: PieceName) -> String {
        let text = name.description
        return folder(of: text) + "/" + text.dropFirst(2)
    }

    /// Writes a piece aside and moves it to its place.
    ///
    /// - Parameter aside: distinguishes what is written at the same time.
    package func write(_ bytes: [UInt8], as name: PieceName, aside: UInt64) throws {
        let temporary = pieces + "/new-\(aside)"
        do {
            try Self.write(bytes, to: temporary)
        } catch Errno.noSuchFileOrDirectory {
            // Somebody cleared the store.
            try make()
            try Self.write(bytes, to: temporary)
        } catch {
            _ = unsafe store_remove(temporary)
            throw error
        }
        let target = file(of: name)
        if unsafe agent_rename(temporary, target) == 0 { return }
        try? Self.makeFolder(folder(of: name.description))
        guard unsafe agent_rename(temporary, target) == 0 else {
            _ = unsafe store_remove(temporary)
            throw Errno.ioError
        }
    }

    private static func write(_ bytes: [UInt8], to path: String) throws {
        let file = try FileDescriptor.open(
            FilePath(path),
            .writeOnly,
            options: [.create, .truncate],
            permissions: [.ownerReadWrite]
        )
        try file.closeAfter { _ = try file.writeAll(bytes) }
    }

    /// Reads a piece and checks it.
    package func read(_ name: PieceName, byteCount: Int) -> Found {
        let file: FileDescriptor
        do {
            file = try FileDescriptor.open(FilePath(self.file(of: name)), .readOnly)
        } catch {
            return (error as? Errno) == .noSuchFileOrDirectory ? .missing : .damaged
        }
        defer { try? file.close() }
        // One more than there should be, to see a file that is too long.
        let bytes = file.bytes(at: 0, byteCount: byteCount + 1)
        guard bytes.count == byteCount, PieceName(of: bytes[...]) == name else { return .damaged }
        return .bytes(bytes)
    }

    /// Says that a piece was used, for the order after a restart.
    package func touch(_ name: PieceName) {
        _ = unsafe store_touch(file(of: name))
    }

    package func remove(_ name: PieceName) {
        _ = unsafe store_remove(file(of: name))
    }

    /// What is there, used longest ago first; removes what a crash left half written.
    package func entries(removingLeftovers: Bool = false) -> [Entry] {
        var entries: [Entry] = []
        for folder in Self.names(in: pieces) {
            let path = pieces + "/" + folder
            if folder.hasPrefix("new-") {
                if removingLeftovers { _ = unsafe store_remove(path) }
                continue
            }
            for rest in Self.names(in: path) {
                guard let name = PieceName(folder + rest) else { continue }
                let stamp = unsafe store_stamp_of(path + "/" + rest)
                guard stamp.byte_count >= 0 else { continue }
                entries.append(
                    Entry(
                        name: name,
                        byteCount: Int(stamp.byte_count),
                        modified: stamp.modified
                    )
                )
            }
        }
        return entries.sorted {
            ($0.modified, $0.name.description) < ($1.modified, $1.name.description)
        }
    }

    private static func names(in folder: String) -> [String] {
        (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
    }

    /// Removes all pieces, also while an agent uses them: it then asks for what it misses.
    package func clear() throws {
        guard FileManager.default.fileExists(atPath: pieces) else { return }
        // Tells an agent, also where the new folder gets the number of the old one.
        try replace(clearedPath, with: [])
        do {
            try FileManager.default.removeItem(atPath: pieces)
        } catch {
            // A piece that was written meanwhile keeps its folder.
            guard FileManager.default.fileExists(atPath: pieces) else { return }
            try FileManager.default.removeItem(atPath: pieces)
        }
    }

    /// Changes when the store was cleared from outside.
    var incarnation: Int64 { unsafe store_stamp_of(clearedPath).modified }

    private var clearedPath: String { path + "/cleared" }

    /// How much may still be written here; nil if the system does not say.
    package var freeByteCount: UInt64? { DiskSpace.freeByteCount(at: path) }
}

extension FileDescriptor {
    /// Reads from a place in the file; fewer bytes at its end, or when it cannot be read.
    func bytes(at offset: UInt64, byteCount: Int) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: byteCount)
        var filled = 0
        while filled < byteCount {
            let read = try? unsafe bytes.withUnsafeMutableBytes { buffer in
                try unsafe self.read(
                    fromAbsoluteOffset: Int64(clamping: offset) + Int64(filled),
                    into: UnsafeMutableRawBufferPointer(rebasing: buffer[filled...])
                )
            }
            guard let read, read > 0 else { break }
            filled += read
        }
        bytes.removeLast(byteCount - filled)
        return bytes
    }
}
