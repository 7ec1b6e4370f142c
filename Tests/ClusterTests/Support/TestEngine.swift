import EngineStore
import Foundation
import Processes

/// The llama.cpp that the clusters run, the one place that knows where it comes from.
enum TestEngine {
    /// What `CARAVAN_ENGINE` names, else one that is installed into the build folder once; its
    /// packages are kept there too.
    private static let search = Task { () -> Result<Engine, Problem> in
        do {
            return .success(try await find())
        } catch {
            return .failure(Problem("\(error)"))
        }
    }

    private static func find() async throws -> Engine {
        let environment = ProcessInfo.processInfo.environment
        let guardBinary = Built.guardBinary
        if let named = environment["CARAVAN_ENGINE"], !named.isEmpty {
            return try await EngineLocator(
                explicitFolder: named,
                installFolder: named,
                environment: environment,
                guardedBy: guardBinary
            ).locate()
        }
        let build = packageFolder + "/.build"
        return try await EngineInstaller(
            into: build + "/caravan-engine",
            cache: build + "/caravan-packages",
            guardedBy: guardBinary
        ) { progress in
            if progress.fraction == nil { print("engine: \(progress.phase)") }
        }.install()
    }

    private static var packageFolder: String {
        #filePath.split(separator: "/").dropLast(4).reduce("") { $0 + "/" + $1 }
    }

    static var folder: String { get async throws { try await search.value.get().folder } }

    /// llama-server, without any agent.
    static func serverCommand(_ arguments: [String]) async throws -> ChildCommand {
        try await search.value.get().programs.server.command(
            arguments,
            environment: ["GGML_NO_BACKTRACE": "1"]
        )
    }
}
