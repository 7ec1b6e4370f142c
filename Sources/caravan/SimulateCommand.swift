import ArgumentParser
import Simulator

struct SimulateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate",
        abstract: "Run many agents in virtual time, with faults, and see whether all holds.",
        discussion: """
            The same agents as on devices, on a simulated clock, network, disk and llama.cpp. \
            Everything follows from the scenario and the seed: a failure can be repeated as often \
            as one likes.
              caravan simulate run Simulations/even-split-5.sim.json --seed 7
              caravan simulate sweep Simulations --seeds 1..1000

            Exit codes: 0 all held, 1 something did not, 2 the scenario makes no sense.
            """,
        subcommands: all
    )

    private static var all: [any ParsableCommand.Type] {
        var commands: [any ParsableCommand.Type] = [
            SimulateRunCommand.self, SimulateSweepCommand.self, SimulateShrinkCommand.self,
            SimulateDiffCommand.self, SimulateExplainCommand.self, SimulateReplayCommand.self,
        ]
        #if Mutants
        commands.append(SimulateMutantsCommand.self)
        #endif
        return commands
    }

    /// The command that repeats a run.
    static func repeating(_ file: ScenarioFile, seed: UInt64) -> String {
        "caravan simulate run \(file.path) --seed \(seed)"
    }

    static func hexadecimal(_ hash: UInt64) -> String {
        let digits = String(hash, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }
}
