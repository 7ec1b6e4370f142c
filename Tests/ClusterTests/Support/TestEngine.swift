import Foundation
import Processes
import Testing

/// The llama.cpp that the clusters run.
enum TestEngine {
    /// Its folder, or why there is none. The one place that knows where it comes from.
    private static let search = Task { () -> Result<String, Problem> in
        let named = ProcessInfo.processInfo.environment["CARAVAN_ENGINE"] ?? ""
        guard !named.isEmpty else {
            return .failure(Problem("CARAVAN_ENGINE does not name llama.cpp's folder"))
        }
        guard FileManager.default.fileExists(atPath: named + "/lib/llama-server") else {
            return .failure(Problem("there is no llama.cpp in \(named)"))
        }
        return .success(named)
    }

    static var folder: String { get async throws { try await search.value.get() } }

    /// Ends a test as skipped where there is no llama.cpp.
    static func require() async throws {
        if case .failure(let problem) = await search.value {
            try Test.cancel("no llama.cpp: \(problem)")
        }
    }

    /// llama-server, without any agent.
    static func serverCommand(_ arguments: [String]) async throws -> ChildCommand {
        let library = try await folder + "/lib"
        return ChildCommand(
            executable: library + "/ld-linux-x86-64.so.2",
            arguments: ["--argv0", "llama-server", "--library-path", library]
                + [library + "/llama-server"] + arguments,
            environment: ["GGML_NO_BACKTRACE": "1"]
        )
    }
}
