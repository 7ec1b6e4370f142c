import CPosix
import FoundationEssentials
import Primitives
package import SecureChannel
import SystemPackage

/// The cluster's keys on this device, in a file that only its owner reads (mode 0600).
///
/// Replaced whole: written aside, synced, renamed. Whoever can write it can change the key; that
/// is how `caravan key rotate` does.
package struct ClusterKeyFile: Sendable {
    package let path: String

    package init(stateFolder: String) {
        path = stateFolder + "/cluster.key"
    }

    private struct Contents: Codable {
        struct Key: Codable {
            var key: String
            var sealsFrom: Int64
            var opensUntil: Int64?
        }

        var format: Int
        var version: UInt64
        var keys: [Key]
        var removed: [String]
    }

    /// Nil if this device belongs to no cluster yet.
    package func read() throws(AgentProblem) -> KeyRing? {
        guard FileManager.default.fileExists(atPath: path) else { return nil }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw AgentProblem("The cluster's key cannot be read: \(path)")
        }
        let mode = unsafe agent_mode(path)
        guard mode >= 0, mode & 0o077 == 0 else {
            throw AgentProblem(
                "Others may read the cluster's key; let nobody but you: chmod 600 \(path)"
            )
        }
        guard let ring = Self.ring(in: [UInt8](data)) else {
            throw AgentProblem(
                "The cluster's key is damaged: \(path). Remove the file, and take the key anew "
                    + "with caravan join CODE; another device tells the code: caravan key show"
            )
        }
        return ring
    }

    /// The keys that a file holds; nil if it is damaged.
    package static func ring(in bytes: [UInt8]) -> KeyRing? {
        guard let contents = try? JSONDecoder().decode(Contents.self, from: Data(bytes)),
            contents.format == 1
        else { return nil }
        return ring(contents)
    }

    private static func ring(_ contents: Contents) -> KeyRing? {
        let entries = contents.keys.compactMap { stored in
            (try? JoinCode.key(from: stored.key)).map {
                KeyRing.Entry(
                    key: $0,
                    sealsFrom: stored.sealsFrom,
                    opensUntil: stored.opensUntil
                )
            }
        }
        let removed = contents.removed.compactMap { NodeID($0) }
        guard entries.count == contents.keys.count, removed.count == contents.removed.count else {
            return nil
        }
        return KeyRing(version: contents.version, entries: entries, removed: removed)
    }

    package func write(_ ring: KeyRing) throws(AgentProblem) {
        let contents = Contents(
            format: 1,
            version: ring.version,
            keys: ring.entries.map {
                Contents.Key(
                    key: JoinCode.text(for: $0.key),
                    sealsFrom: $0.sealsFrom,
                    opensUntil: $0.opensUntil
                )
            },
            removed: ring.removed.map(\.description)
        )
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        do {
            try SecretFile.write([UInt8](try encoder.encode(contents)), to: path)
        } catch {
            throw AgentProblem("The cluster's key cannot be written to \(path): \(error)")
        }
    }

    /// Wall-clock seconds, for the keys' times.
    package static var now: Int64 { Int64(Date().timeIntervalSince1970) }

    static var nowMilliseconds: UInt64 { UInt64(max(0, Date().timeIntervalSince1970 * 1000)) }
}

/// Files that only their owner reads.
enum SecretFile {
    static func write(_ bytes: [UInt8], to path: String) throws {
        let folder = path.lastIndex(of: "/").map { String(path[..<$0]) } ?? "."
        try FileManager.default.createDirectory(
            atPath: folder,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700]
        )
        let aside = path + ".new"
        try? FileManager.default.removeItem(atPath: aside)
        let file = try FileDescriptor.open(
            FilePath(aside),
            .writeOnly,
            options: [.create, .exclusiveCreate],
            permissions: [.ownerReadWrite]
        )
        try file.closeAfter {
            _ = try file.writeAll(bytes)
            guard agent_sync(file.rawValue) == 0 else { throw Errno.ioError }
        }
        guard unsafe agent_rename(aside, path) == 0 else { throw Errno.ioError }
        let directory = try FileDescriptor.open(FilePath(folder), .readOnly)
        try directory.closeAfter {
            guard agent_sync(directory.rawValue) == 0 else { throw Errno.ioError }
        }
    }
}

/// The key pair of this device, in a file of mode 0600; made when it is missing.
package enum DeviceKeyFile {
    /// The next agent in the folder is another device.
    package static func putAside(in stateFolder: String) throws(AgentProblem) {
        let (path, aside) = (stateFolder + "/device.key", stateFolder + "/device.key.removed")
        guard FileManager.default.fileExists(atPath: path) else { return }
        guard unsafe agent_rename(path, aside) == 0 else {
            throw AgentProblem("This device's old key cannot be put aside: \(path)")
        }
    }

    static func readOrMake(in stateFolder: String) throws(AgentProblem) -> DeviceIdentity {
        let path = stateFolder + "/device.key"
        if let data = FileManager.default.contents(atPath: path) {
            let text = String(decoding: data, as: UTF8.self).filter { $0.isHexDigit }
            let digits = text.compactMap(\.hexDigitValue)
            let bytes = stride(from: 0, to: digits.count - 1, by: 2).map {
                UInt8(digits[$0] << 4 | digits[$0 + 1])
            }
            if let identity = DeviceIdentity(secret: bytes) { return identity }
            // Without its key a device is another device; the old one is dead to the others.
            try? FileManager.default.moveItem(atPath: path, toPath: path + ".damaged")
        }
        let identity = DeviceIdentity()
        let digits = identity.secret.map { byte in
            (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }
        do {
            try SecretFile.write(Array((digits.joined() + "\n").utf8), to: path)
        } catch {
            throw AgentProblem("This device's key cannot be written to \(path): \(error)")
        }
        return identity
    }
}
