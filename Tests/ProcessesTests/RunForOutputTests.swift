import Processes
import Testing

@Suite struct RunForOutputTests {
    @Test func `both streams and the exit code are returned`() async throws {
        let output = try await runForOutput(
            shell("echo out; echo err >&2; exit 4"),
            guardedBy: guardBinary,
            timeout: .seconds(30)
        )
        #expect(output.exit == .exited(code: 4))
        #expect(output.standardOutput == "out\n")
        #expect(output.standardError == "err\n")
        #expect(!output.isCut)
    }

    @Test func `a program that takes too long is killed`() async throws {
        let folder = try TemporaryFolder()
        let note = folder.path("pid")
        let limit = Duration.milliseconds(700)
        await #expect(throws: ChildOutputError.timedOut(program: "/bin/sh", after: limit)) {
            try await runForOutput(
                shell("echo $$ > \(note); sleep 600; true"),
                guardedBy: guardBinary,
                timeout: limit
            )
        }
        // A slow machine may not even have started it; then there is nothing to look at.
        if let pid = Int32(readText(note).split(separator: "\n").first ?? "") {
            #expect(!isRunning(pid))
        }
    }

    @Test func `output beyond the limit is dropped and marked`() async throws {
        let output = try await runForOutput(
            shell("yes | head -c 300000"),
            guardedBy: guardBinary,
            timeout: .seconds(30),
            outputLimit: 1000
        )
        #expect(output.exit.isSuccess)
        #expect(output.standardOutput.utf8.count == 1000)
        #expect(output.isCut)
    }

    @Test func `a program that does not exist is an error that names it`() async {
        let error = await #expect(throws: ChildOutputError.self) {
            try await runForOutput(
                ChildCommand(executable: "/nowhere/tool"),
                guardedBy: guardBinary,
                timeout: .seconds(5)
            )
        }
        #expect("\(error, default: "")".contains("/nowhere/tool"))
    }
}
