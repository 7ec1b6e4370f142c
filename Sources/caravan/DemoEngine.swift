import LlamaEngine
import EngineStore
import FoundationEssentials
import Synchronization

/// Finds llama.cpp, or installs it, telling how far it is.
enum DemoEngine {
    static func locator(_ explicit: String?, installFolder: String) -> EngineLocator {
        EngineLocator(
            explicitFolder: explicit,
            installFolder: installFolder,
            environment: ProcessInfo.processInfo.environment
        )
    }

    /// The folder of an engine that is there, else of one installed into `folder`.
    static func find(_ explicit: String?, in folder: String) async throws -> String {
        let own = folder + "/engine"
        if let explicit {
            return try await locator(explicit, installFolder: own).locate().folder
        }
        for place in [own, Folders.engine] {
            if let engine = try? await locator(nil, installFolder: place).locate() {
                Step.say("llama.cpp \(engine.facts.version) in \(engine.folder)")
                return engine.folder
            }
        }
        Step.say("Installing llama.cpp to \(own)")
        let engine = try await install(into: own, cache: nil)
        Step.say("llama.cpp \(engine.facts.version) in \(engine.folder)")
        return engine.folder
    }

    static func install(into folder: String, cache: String?) async throws -> Engine {
        let shown = Mutex("")
        return try await EngineInstaller(into: folder, cache: cache) { progress in
            let text = describe(progress)
            let isNew = shown.withLock { shown in
                defer { shown = text }
                return shown != text
            }
            if isNew { Output.writeError("    \(text)") }
        }.install()
    }

    /// In steps of ten percent, so that a terminal is not flooded.
    private static func describe(_ progress: InstallProgress) -> String {
        guard let fraction = progress.fraction else { return "\(progress.phase)" }
        return "\(progress.phase): \(Int(fraction * 10) * 10) %"
    }
}
