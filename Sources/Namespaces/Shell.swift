import FoundationEssentials
import Processes

/// Programs of the system, found by name.
enum Shell {
    private static let timeLimit: Duration = .seconds(20)

    /// A command found on the path; those of the administrator are, whatever the path says.
    static func command(_ words: [String]) -> ChildCommand {
        let path = ProcessInfo.processInfo.environment["PATH"] ?? "/usr/bin:/bin"
        return ChildCommand(
            executable: "/usr/bin/env",
            arguments: words,
            environment: ["PATH": path + ":/usr/sbin:/sbin"]
        )
    }

    static func run(
        _ words: [String],
        guardedBy guardBinary: ProcessGuard.Binary
    ) async throws -> ChildOutput {
        try await runForOutput(command(words), guardedBy: guardBinary, timeout: timeLimit)
    }

    /// Runs a script to its end; the first command that fails ends it.
    static func script(
        _ script: String,
        _ prefix: [String],
        guardedBy guardBinary: ProcessGuard.Binary
    ) async throws -> String {
        let output = try await run(prefix + ["sh", "-ec", script], guardedBy: guardBinary)
        guard output.exit.isSuccess else {
            throw NamespaceError.failed(command: script, complaint(output))
        }
        return output.standardOutput
    }

    /// What a program that failed said of it.
    static func complaint(_ output: ChildOutput) -> String {
        let last = output.standardError.split(separator: "\n").last.map(String.init)
        return last ?? "\(output.exit)"
    }
}
