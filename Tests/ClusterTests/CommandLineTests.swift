import Primitives
import Processes
import Testing

extension ClusterTests {
    /// What the command line says where no cluster is.
    @Suite struct CommandLine {
        @Test func `where no agent is, a command fails with 1 and says what to do`() async throws {
            let nobody = IPAddress.v4(Loopback.network() | 250)
            for command in [["status"], ["launch", "tiny.gguf"], ["stop"]] {
                let output = try await Built.run(command + ["--host", "\(nobody)"])
                #expect(output.exit == .exited(code: 1))
                #expect(output.standardError.contains("caravan agent"), "\(output)")
                #expect(output.standardOutput.isEmpty)
            }
            let logs = try await Built.run(["logs", "--state", TestFolder.path + "/nothing"])
            #expect(logs.exit == .exited(code: 1))
            #expect(logs.standardError.contains("has an agent run"))
            let closed = try await Built.run([
                "agent", "--state", TestFolder.path + "/closed", "--bind", "\(nobody)",
            ])
            #expect(closed.exit == .exited(code: 1))
            #expect(closed.standardError.contains("--open"))
        }

        @Test(arguments: [
            ["status", "--no-such-option"],
            ["no-such-command"],
            ["status", "--host", "not-an-address"],
            ["launch"],
            ["agent", "--bind", "somewhere"],
            ["agent", "--memory", "plenty"],
            ["agent", "--seed", "nobody"],
            ["logs", "--level", "loud"],
            ["model", "tiny"],
        ])
        func `a wrong command line fails with 64`(arguments: [String]) async throws {
            let output = try await Built.run(arguments)
            #expect(output.exit == .exited(code: 64), "\(output)")
            #expect(!output.standardError.isEmpty)
        }
    }
}
