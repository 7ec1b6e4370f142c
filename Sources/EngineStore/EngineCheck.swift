internal import LlamaEngine
internal import LlamaRPC

/// What `caravan engine check` tells: where was looked, what was found, what is wrong with it.
package struct EngineCheck: Sendable {
    package enum Verdict: Sendable, Hashable {
        case usable(Engine)
        case unusable(String)
    }

    package var places: [EngineLocator.Place]
    package var verdict: Verdict

    package static func run(_ locator: EngineLocator) async -> EngineCheck {
        do {
            let engine = try await locator.locate()
            return EngineCheck(places: locator.places, verdict: .usable(engine))
        } catch {
            return EngineCheck(places: locator.places, verdict: .unusable("\(error)"))
        }
    }

    package var isUsable: Bool {
        if case .usable = verdict { true } else { false }
    }

    /// The report as lines of label and value, for a table or JSON.
    package var rows: [(label: String, value: String)] {
        switch verdict {
        case .unusable(let reason):
            return [("engine", "none"), ("problem", reason)]
        case .usable(let engine):
            let facts = engine.facts
            var rows = [
                ("engine", engine.folder),
                ("llama-server", engine.programs.server.path),
                ("RPC server", engine.programs.rpcServer.path),
                ("version", facts.version),
                ("RPC version", facts.rpcVersion?.description ?? "unknown"),
                ("options", Self.optionNames(facts.features).joined(separator: " ")),
            ]
            if case .bundled(let loader, _) = engine.programs.server.start {
                rows.append(("loader", loader))
            }
            return rows + facts.problems.map { ("problem", $0) }
        }
    }

    private static func optionNames(_ features: EngineFacts.Features) -> [String] {
        let names: [(EngineFacts.Features, String)] = [
            (.rpc, "--rpc"), (.tensorSplit, "--tensor-split"), (.noMmap, "--no-mmap"),
            (.loadMode, "--load-mode"), (.fit, "--fit"), (.cacheRAM, "--cache-ram"),
            (.verbosityLevels, "-lv"), (.jsonLogs, "--log-jsonl"), (.slotsFlag, "--slots"),
        ]
        return names.filter { features.contains($0.0) }.map(\.1)
    }
}
