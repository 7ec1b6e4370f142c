import Foundation
import Processes

/// The official OpenAI client for Python, where it is installed.
enum PythonClient {
    private static let search = Task { () -> Result<String, Problem> in
        let named = ProcessInfo.processInfo.environment["CARAVAN_PYTHON"] ?? ""
        let interpreter = named.isEmpty ? "python3" : named
        let output = try? await run(interpreter, "import openai", [])
        guard output?.exit.isSuccess == true else {
            return .failure(
                Problem(
                    "\(interpreter) has no package openai: install it, or name an interpreter "
                        + "that has it in CARAVAN_PYTHON"
                )
            )
        }
        return .success(interpreter)
    }

    static var interpreter: String { get async throws { try await search.value.get() } }

    static func run(_ script: String, _ arguments: [String]) async throws -> ChildOutput {
        try await run(interpreter, script, arguments)
    }

    private static func run(
        _ interpreter: String,
        _ script: String,
        _ arguments: [String]
    ) async throws -> ChildOutput {
        try await runForOutput(
            ChildCommand(
                executable: "/usr/bin/env",
                arguments: [interpreter, "-c", script] + arguments,
                // A proxy would be asked for loopback addresses too.
                environment: ["http_proxy": nil, "all_proxy": nil, "ALL_PROXY": nil]
            ),
            guardedBy: Built.guardBinary,
            timeout: .seconds(60)
        )
    }
}
