import Foundation
import SecureChannel
import Testing

@testable import Agent

struct ClusterKeyFileTests {
    @Test func `a key that others may read is not taken`() throws {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "caravan-key-\(UInt32.random(in: 0...UInt32.max))").path()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let file = ClusterKeyFile(stateFolder: folder)
        #expect(try file.read() == nil)
        try file.write(KeyRing(.random()))
        #expect(try file.read() != nil)
        for mode in [0o644, 0o640, 0o604, 0o660] {
            try FileManager.default.setAttributes(
                [.posixPermissions: mode],
                ofItemAtPath: file.path
            )
            let error = try #require(throws: AgentProblem.self) { try file.read() }
            #expect(error.description.contains("chmod 600"))
        }
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: file.path)
        #expect(try file.read() != nil)
    }
}
