import Foundation
import Gateway
import Testing

@testable import Agent

/// Tokens on disk.
struct TokenTests {
    private static let now = Date(timeIntervalSince1970: 1_800_000_000)

    private func withFile(_ use: (TokenFile) throws -> Void) throws {
        let folder = FileManager.default.temporaryDirectory
            .appendingPathComponent("tokens-\(UUID())").path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try use(TokenFile(stateFolder: folder))
    }

    @Test func `a token counts from when it is made to when it is removed`() throws {
        try withFile { file in
            let store = TokenStore(file)
            #expect(store.kind(of: "caravan-api-0") == nil)
            let api = try file.create("laptop", .api, at: Self.now)
            let admin = try file.create("me", .admin, at: Self.now)
            #expect(store.kind(of: api) == .api)
            #expect(store.kind(of: admin) == .admin)
            #expect(try file.remove("laptop"))
            #expect(store.kind(of: api) == nil)
            #expect(store.kind(of: admin) == .admin)
            #expect(try !file.remove("laptop"))
        }
    }

    @Test func `nothing near a token counts`() throws {
        try withFile { file in
            let token = try file.create("a", .api, at: Self.now)
            let store = TokenStore(file)
            let entry = try #require(try file.load().first)
            for other in [
                "", String(token.dropLast()), token + "0", token.uppercased(), " " + token,
                entry.hash, "caravan-admin-" + token.dropFirst("caravan-api-".count),
            ] {
                #expect(store.kind(of: other) == nil, "\(other)")
            }
        }
    }

    @Test func `the file has no token in it, and only its owner reads it`() throws {
        try withFile { file in
            let token = try file.create("a", .admin, at: Self.now)
            let text = try String(contentsOfFile: file.path, encoding: .utf8)
            #expect(!text.contains(token.suffix(20)))
            let facts = try FileManager.default.attributesOfItem(atPath: file.path)
            #expect((facts[.posixPermissions] as? NSNumber)?.intValue == 0o600)
            let entry = try #require(try file.load().first)
            #expect(entry.name == "a" && entry.kind == .admin && entry.created == 1_800_000_000)
        }
    }

    @Test func `tokens differ, names do not repeat, and there is an end of them`() throws {
        try withFile { file in
            let tokens = try (0..<TokenFile.entryLimit).map {
                try file.create("n\($0)", .api, at: Self.now)
            }
            #expect(Set(tokens).count == TokenFile.entryLimit)
            #expect(tokens.allSatisfy { $0.utf8.count == "caravan-api-".utf8.count + 40 })
            #expect(throws: AgentProblem.self) { try file.create("more", .api, at: Self.now) }
            _ = try file.remove("n3")
            #expect(throws: AgentProblem.self) { try file.create("n4", .api, at: Self.now) }
        }
    }

    @Test(arguments: ["", String(repeating: "x", count: 64)])
    func `a name has its bounds`(name: String) throws {
        try withFile { file in
            #expect(throws: AgentProblem.self) { try file.create(name, .api, at: Self.now) }
        }
    }

    @Test(arguments: ["", "{", #"{"version":2,"tokens":[]}"#, #"{"version":1}"#])
    func `a damaged file lets nobody in, and is not written over`(text: String) throws {
        try withFile { file in
            let token = try file.create("a", .api, at: Self.now)
            try Data(text.utf8).write(to: URL(fileURLWithPath: file.path))
            #expect(TokenStore(file).kind(of: token) == nil)
            #expect(throws: AgentProblem.self) { try file.create("b", .api, at: Self.now) }
            #expect(try Data(contentsOf: URL(fileURLWithPath: file.path)) == Data(text.utf8))
        }
    }

    /// SHA-256 of "abc" (FIPS 180-4).
    @Test func `a hash is SHA-256`() {
        #expect(
            TokenFile.bytes(
                ofHash: "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
            ) == TokenFile.hash("abc")
        )
        #expect(TokenFile.bytes(ofHash: "ba78") == nil)
        #expect(TokenFile.bytes(ofHash: String(repeating: "g", count: 64)) == nil)
    }
}
