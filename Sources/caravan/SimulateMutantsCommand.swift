#if Mutants
import ArgumentParser
import Primitives
import Simulator

/// Shows that the oracles bite: plants each mutant, and looks for it.
struct SimulateMutantsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "mutants",
        abstract: "Plant faults in the product and see that the simulator finds each.",
        discussion: """
            Prints a table (Markdown) of how each was found and to how many faults its failure \
            shrinks:
              swift run -c release --traits Mutants caravan simulate mutants Simulations

            Exit codes: 0 all were found and shrunk, 1 some were not.
            """
    )

    @Argument(help: ArgumentHelp("A folder of scenarios.", valueName: "folder"))
    var folder: String

    @Option(help: "How many seeds of each scenario are tried.")
    var seeds: UInt64 = 200

    @Option(help: "Only this mutant; leaves it planted for --keep.")
    var only: String?

    @Option(help: "Write the shrunken scenarios into this folder.")
    var keep: String?

    private static let faultLimit = 3
    private static let shrinkLimit: Duration = .seconds(5)
    /// Larger clusters show nothing that small ones do not, and take longer.
    private static let nodeLimit = 10

    func run() async throws {
        let files = try ScenarioFile.all(at: folder).map { try ScenarioFile.read($0) }
            .filter { $0.scenario.nodeCount <= Self.nodeLimit }
        var mutants = Mutant.allCases
        if let only {
            guard let mutant = Mutant(rawValue: only) else {
                let names = mutants.map(\.rawValue).joined(separator: ", ")
                throw ScenarioFile.refused("there is no mutant \(only); there are \(names)")
            }
            mutants = [mutant]
        }
        Output.write("| Mutant | Breaks | Scenario, seed | Seeds | Runs | Faults | Shrinking |\n")
        Output.write("|---|---|---|---|---|---|---|\n")
        var isComplete = true
        for mutant in mutants where try !shows(mutant, in: files) { isComplete = false }
        if !isComplete { throw ExitCode(1) }
    }

    /// - Returns: whether it was found and shrunk to few faults.
    private func shows(_ mutant: Mutant, in files: [ScenarioFile]) throws -> Bool {
        Mutant.plant(mutant)
        defer { Mutant.plant(nil) }
        var runCount = 0
        for seed in 1...max(1, seeds) {
            for file in files {
                runCount += 1
                let result = Simulation(scenario: file.scenario, seed: seed).run()
                guard result.violation != nil else { continue }
                return try show(mutant, file, seed: seed, runCount: runCount)
            }
        }
        Output.write("| \(mutant.rawValue) | **not found** | | \(seeds) | \(runCount) | | |\n")
        return false
    }

    private func show(
        _ mutant: Mutant,
        _ file: ScenarioFile,
        seed: UInt64,
        runCount: Int
    ) throws -> Bool {
        let clock = ContinuousClock()
        let start = clock.now
        let outcome = Shrinker.shrink(
            file.scenario,
            seed: seed,
            mayContinue: { clock.now - start < Self.shrinkLimit },
            // What breaks without the mutant, too, says nothing of it.
            accepts: { smaller in
                Mutant.plant(nil)
                defer { Mutant.plant(mutant) }
                return Simulation(scenario: smaller, seed: seed).run().violation == nil
            }
        )
        guard let outcome else { return false }
        let milliseconds = Int((clock.now - start).inSeconds * 1000)
        if let keep {
            let name = "\(mutant.rawValue)\(ScenarioFile.suffix)"
            _ = try RegressionFile.write(outcome, of: file, seed: seed, to: "\(keep)/\(name)")
        }
        Output.write(
            "| \(mutant.rawValue) | \(outcome.violation.invariant) | \(file.scenario.name), "
                + "\(seed) | \(seed) | \(runCount) | \(outcome.faultsBefore) → "
                + "\(outcome.faultsAfter) | \(milliseconds) ms, \(outcome.runCount) runs |\n"
        )
        return outcome.faultsAfter <= Self.faultLimit
    }
}
#endif
