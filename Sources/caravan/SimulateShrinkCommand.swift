import ArgumentParser
import FoundationEssentials
import Primitives
import Simulator

struct SimulateShrinkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "shrink",
        abstract: "Make a failing run small: the fewest faults that break the same property.",
        discussion: """
            Writes a scenario that fails by itself, in which nothing more can be left out:
              caravan simulate shrink Simulations/swarm-all.sim.json --seed 17
              caravan simulate run Simulations/regressions/swarm-all-S1-17.sim.json

            Exit codes: 0 the seed breaks nothing, 1 it does and the smaller scenario is written, \
            2 the scenario makes no sense.
            """
    )

    @Argument(help: ArgumentHelp("The scenario.", valueName: "file"))
    var file: String

    @Option(help: "The seed; the scenario's own if none is given.")
    var seed: UInt64?

    @Option(help: ArgumentHelp("Where to write it.", valueName: "file"))
    var out: String?

    @Option(help: "After this many seconds what is there is good enough.")
    var seconds = 5.0

    @OptionGroup var planted: PlantedMutant

    func run() async throws {
        try planted.plant()
        let file = try ScenarioFile.read(file)
        let seed = seed ?? file.scenario.seed
        let clock = ContinuousClock()
        let start = clock.now
        let limit = Duration.seconds(seconds)
        var told = start
        let outcome = Shrinker.shrink(file.scenario, seed: seed) {
            clock.now - start < limit
        } tell: { runCount, faultCount in
            guard clock.now - told > .seconds(1) else { return }
            told = clock.now
            Output.writeError("\(runCount) runs, \(faultCount) faults left")
        }
        guard let outcome else {
            Output.write("\(file.scenario.name): seed \(seed) breaks nothing\n")
            return
        }
        let path = try RegressionFile.write(outcome, of: file, seed: seed, to: out)
        let time = Int((clock.now - start).inSeconds * 1000)
        var line = "\(outcome.violation.invariant): \(outcome.faultsBefore) faults before, "
        line += "\(outcome.faultsAfter) after, \(outcome.scenario.nodeCount) nodes, "
        line += "\(outcome.runCount) runs, \(time) ms"
        if !outcome.isMinimal { line += " (stopped by --seconds; more may be possible)" }
        Output.write("\(line)\n\(outcome.violation)\n")
        let command = "caravan simulate run \(path)\(planted.words)"
        Output.write("repeat it: \(command)\n")
        Output.write("see it:    \(command) --diagram failure.html\n")
        throw ExitCode(1)
    }
}

/// A shrunken failure, kept as a scenario.
enum RegressionFile {
    static let folder = "regressions"

    /// - Parameter path: nil for a name of its own in `regressions/` beside the scenario.
    static func write(
        _ outcome: Shrinker.Outcome,
        of file: ScenarioFile,
        seed: UInt64,
        to path: String?
    ) throws -> String {
        let name = "\(file.scenario.name)-\(outcome.violation.invariant)-\(seed)"
        var scenario = outcome.scenario
        scenario.name = name
        scenario.description = "Once found: \(outcome.violation)"
        let target = path ?? defaultPath(name, beside: file.path)
        let directory = target.deletingLastComponent
        do {
            if !directory.isEmpty {
                try FileManager.default.createDirectory(
                    atPath: directory,
                    withIntermediateDirectories: true
                )
            }
            try Data(scenario.json.utf8).write(to: URL(filePath: target))
        } catch {
            throw ScenarioFile.refused("\(target): cannot be written: \(error)")
        }
        return target
    }

    private static func defaultPath(_ name: String, beside path: String) -> String {
        var directory = path.deletingLastComponent
        if !directory.isEmpty { directory += "/" }
        // A regression that fails again is kept beside the first one.
        let isInside = directory.hasSuffix("/\(folder)/") || directory == "\(folder)/"
        // A name is for people, and may hold anything.
        let fileName = name.map { $0.isASCII && ($0.isLetter || $0.isNumber) ? $0 : "-" }
        return directory + (isInside ? "" : "\(folder)/") + String(fileName.prefix(100))
            + ScenarioFile.suffix
    }
}

extension String {
    /// The part before the last slash; empty if there is none.
    fileprivate var deletingLastComponent: String {
        lastIndex(of: "/").map { String(self[..<$0]) } ?? ""
    }
}
