import CPosix
import Crypto
package import FoundationEssentials
package import Gateway
import SystemPackage

/// The tokens that count at this device's agent, each as its hash: whoever reads the file cannot
/// use them.
package struct TokenFile: Sendable {
    /// How many tokens there may be.
    package static let entryLimit = 64
    /// How many bytes of UTF-8 a token's name may have.
    package static let nameByteLimit = 63

    package let path: String

    /// - Parameter stateFolder: the agent's.
    package init(stateFolder: String) {
        path = stateFolder + "/tokens.json"
    }

    package struct Entry: Codable, Equatable, Sendable {
        /// For people: who has it, or what for.
        package var name: String
        package var kind: TokenKind
        /// SHA-256 of the token, in hexadecimal digits.
        var hash: String
        /// In seconds since 1970.
        package var created: Int
    }

    private struct Contents: Codable {
        var version: Int
        var tokens: [Entry]
    }

    /// The tokens in the order in which they were made; none if the file is not there.
    package func load() throws -> [Entry] {
        guard FileManager.default.fileExists(atPath: path) else { return [] }
        guard let data = FileManager.default.contents(atPath: path) else {
            throw AgentProblem("The tokens in \(path) cannot be read: whose file is it?")
        }
        return try Self.entries(in: [UInt8](data), path: path)
    }

    /// The tokens that a file holds.
    package static func entries(in bytes: [UInt8], path: String) throws -> [Entry] {
        do {
            let contents = try JSONDecoder().decode(Contents.self, from: Data(bytes))
            guard contents.version == 1 else {
                throw AgentProblem("\(path) has version \(contents.version), expected 1")
            }
            return contents.tokens
        } catch let problem as AgentProblem {
            throw problem
        } catch {
            throw AgentProblem(
                "\(path) is damaged; remove it, and make the tokens anew: \(error)"
            )
        }
    }

    /// Makes a token; it is told this once and never again.
    package func create(_ name: String, _ kind: TokenKind, at now: Date) throws -> String {
        var entries = try load()
        guard (1...Self.nameByteLimit).contains(name.utf8.count) else {
            throw AgentProblem("A token's name has 1 to \(Self.nameByteLimit) bytes")
        }
        guard !entries.contains(where: { $0.name == name }) else {
            throw AgentProblem(
                "There is a token called \(name) already: choose another name, or remove it with "
                    + "`caravan token remove \(name)`"
            )
        }
        guard entries.count < Self.entryLimit else {
            throw AgentProblem("There are \(entries.count) tokens already: remove some first")
        }
        // The system's generator: nobody guesses 160 bits.
        var generator = SystemRandomNumberGenerator()
        let bytes = (0..<20).map { _ in UInt8.random(in: 0...255, using: &generator) }
        let token = "caravan-\(kind.rawValue)-\(Self.hexadecimal(bytes))"
        entries.append(
            Entry(
                name: name,
                kind: kind,
                hash: Self.hexadecimal(Self.hash(token)),
                created: Int(now.timeIntervalSince1970)
            )
        )
        try save(entries)
        return token
    }

    /// - Returns: whether there was one.
    package func remove(_ name: String) throws -> Bool {
        var entries = try load()
        guard let index = entries.firstIndex(where: { $0.name == name }) else { return false }
        entries.remove(at: index)
        try save(entries)
        return true
    }

    private func save(_ entries: [Entry]) throws {
        let folder = FilePath(path).removingLastComponent()
        try FileManager.default.createDirectory(
            atPath: folder.string,
            withIntermediateDirectories: true,
            attributes: [.posixPermissions: 0o700]
        )
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        let bytes = [UInt8](try encoder.encode(Contents(version: 1, tokens: entries)))
        // Written aside, so that the agent never reads half of it.
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
    }

    static func hash(_ token: String) -> [UInt8] {
        Array(SHA256.hash(data: Array(token.utf8)))
    }

    private static func hexadecimal(_ bytes: [UInt8]) -> String {
        bytes.map { byte in
            let digits = String(byte, radix: 16)
            return digits.count == 1 ? "0" + digits : digits
        }.joined()
    }

    /// The bytes of a hash; nil if it is none.
    static func bytes(ofHash text: String) -> [UInt8]? {
        guard text.utf8.count == 64 else { return nil }
        var bytes: [UInt8] = []
        var rest = text[...]
        while !rest.isEmpty {
            guard let byte = UInt8(rest.prefix(2), radix: 16) else { return nil }
            bytes.append(byte)
            rest = rest.dropFirst(2)
        }
        return bytes
    }
}
