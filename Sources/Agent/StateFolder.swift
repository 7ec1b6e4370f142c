import CPosix
import FoundationEssentials
package import Primitives
package import Processes
package import Runtime
import SystemPackage

/// What an agent keeps between its lives, in a folder of its own.
///
/// `state` is replaced whole: written aside, synced, renamed, the folder synced; its last line is
/// a checksum. A state that is torn is refused: with it this device would forget which votes it
/// gave and which ballots it obeyed, so it then takes a new identity, which has no past.
package struct StateFolder: Sendable {
    package let path: String

    private struct Contents: Codable {
        var version: Int
        var node: String
        var record: StoredRecord
    }

    package init(_ path: String) {
        self.path = path
    }

    private var filePath: String { path + "/state" }
    private var lockPath: String { path + "/lock" }

    package enum Found: Sendable, Equatable {
        case record(NodeID, DurableRecord)
        /// The folder is new.
        case nothing
        /// There was something that cannot be trusted; it was put aside under the path.
        case damaged(asidePath: String, reason: String)
    }

    /// Makes the folder, and keeps it from being used by two agents at once, as long as the lock
    /// is held.
    package func claim() throws(AgentProblem) -> FileLock {
        do {
            try FileManager.default.createDirectory(
                atPath: path,
                withIntermediateDirectories: true,
                attributes: [.posixPermissions: 0o700]
            )
        } catch {
            throw AgentProblem("The state folder \(path) cannot be made: \(error)")
        }
        do {
            if let lock = try FileLock(path: lockPath) { return lock }
        } catch {
            throw AgentProblem("The state folder \(path) cannot be used: \(error)")
        }
        throw AgentProblem(
            "Another agent uses the state folder \(path): give each agent its own with --state."
        )
    }

    package func load() -> Found {
        guard let data = FileManager.default.contents(atPath: filePath) else { return .nothing }
        do {
            let (node, record) = try Self.record(in: [UInt8](data))
            return .record(node, record)
        } catch {
            return putAside("\(error)")
        }
    }

    private func putAside(_ reason: String) -> Found {
        let aside = filePath + ".damaged"
        try? FileManager.default.removeItem(atPath: aside)
        try? FileManager.default.moveItem(atPath: filePath, toPath: aside)
        return .damaged(asidePath: aside, reason: reason)
    }

    /// Replaces what is kept; returns when it would survive a power cut.
    package func save(_ record: DurableRecord, node: NodeID) throws {
        let contents = Contents(
            version: 1,
            node: node.description,
            record: StoredRecord(record)
        )
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        let bytes = Self.sealed([UInt8](try encoder.encode(contents)))
        let temporary = FilePath(filePath + ".new")
        let file = try FileDescriptor.open(
            temporary,
            .writeOnly,
            options: [.create, .truncate],
            permissions: [.ownerReadWrite]
        )
        try file.closeAfter {
            _ = try file.writeAll(bytes)
            guard agent_sync(file.rawValue) == 0 else { throw Errno.ioError }
        }
        guard unsafe agent_rename(filePath + ".new", filePath) == 0 else { throw Errno.ioError }
        let folder = try FileDescriptor.open(FilePath(path), .readOnly)
        try folder.closeAfter {
            guard agent_sync(folder.rawValue) == 0 else { throw Errno.ioError }
        }
    }

    private struct Damage: Error, CustomStringConvertible {
        let description: String
    }

    /// Reads what `save` writes; throws a reason for people if it is anything else.
    package static func record(in bytes: [UInt8]) throws -> (NodeID, DurableRecord) {
        let contents = try decode(bytes)
        guard let node = NodeID(contents.node) else {
            throw Damage(description: "its node is no identity")
        }
        return (node, try contents.record.record())
    }

    /// The bytes with their checksum behind them.
    package static func sealed(_ bytes: [UInt8]) -> [UInt8] {
        bytes + Array("\n\(checksum(bytes))\n".utf8)
    }

    private static func decode(_ bytes: [UInt8]) throws -> Contents {
        let lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true)
        guard let last = lines.last, lines.count > 1 else {
            throw Damage(description: "it is torn")
        }
        let json = Array(bytes[..<(last.startIndex - 1)])
        guard String(decoding: last, as: UTF8.self) == checksum(json) else {
            throw Damage(description: "its checksum does not match")
        }
        let contents = try JSONDecoder().decode(Contents.self, from: Data(json))
        guard contents.version == 1 else {
            throw Damage(description: "its version is \(contents.version), expected 1")
        }
        return contents
    }

    /// FNV-1a-64, 16 hexadecimal digits.
    private static func checksum(_ bytes: [UInt8]) -> String {
        let sum = bytes.reduce(0xCBF2_9CE4_8422_2325 as UInt64) {
            ($0 ^ UInt64($1)) &* 0x100_0000_01B3
        }
        let digits = String(sum, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
