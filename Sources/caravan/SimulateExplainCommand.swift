import ArgumentParser
import FoundationEssentials
import Primitives
import Simulator

struct SimulateExplainCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Find from which moment a failure was likely, and what happened there.",
        discussion: """
            Repeats the run up to a moment and goes on with other chances, several times for each \
            of a number of moments: where the share of failures rises, something decided.
              caravan simulate explain Simulations/regressions/a.sim.json

            Exit codes: 0 the seed breaks nothing, 1 it does and is explained, 2 the scenario \
            makes no sense.
            """
    )

    @Argument(help: ArgumentHelp("The scenario.", valueName: "file"))
    var file: String

    @Option(help: "The seed; the scenario's own if none is given.")
    var seed: UInt64?

    @Option(help: "How many continuations are tried from each moment.")
    var runs = 20

    @Option(help: "After this many seconds what is known is good enough.")
    var seconds = 20.0

    @Flag(help: "Print the points for scripts.")
    var json = false

    @OptionGroup var planted: PlantedMutant

    private static let barLength = 30

    func run() async throws {
        guard 1...10_000 ~= runs else {
            throw ScenarioFile.refused("--runs takes a number from 1 to 10000")
        }
        try planted.plant()
        let file = try ScenarioFile.read(file)
        let seed = seed ?? file.scenario.seed
        let start = ContinuousClock.now
        let limit = Duration.seconds(seconds)
        let explanation = Explanation.explain(
            file.scenario,
            seed: seed,
            continuationCount: runs
        ) { ContinuousClock.now - start < limit }
        guard let explanation else {
            Output.write("\(file.scenario.name): seed \(seed) breaks nothing\n")
            return
        }
        if json {
            try printJSON(explanation)
        } else {
            printTable(explanation)
            if let jump = explanation.jump { tellEvents(file.scenario, seed, jump) }
        }
        throw ExitCode(1)
    }

    private func printTable(_ explanation: Explanation) {
        Output.write("\(explanation.violation)\n\n")
        Output.write("with other chances from then on, it fails as often as this:\n")
        for point in explanation.points {
            let filled = Int((point.share * Double(Self.barLength)).rounded())
            let bar =
                String(repeating: "█", count: filled)
                + String(repeating: "·", count: Self.barLength - filled)
            let mark = explanation.jump.map { $0.to == point ? "  ← decided by here" : "" } ?? ""
            let text = "\(point.at.inSeconds) s"
            let padding = String(repeating: " ", count: max(0, 12 - text.count))
            Output.write(
                "\(padding)\(text) \(bar) \(point.failureCount)/\(point.runCount)\(mark)\n"
            )
        }
        if explanation.jump == nil {
            Output.write("no moment decides: it is as likely at the beginning as at the end\n")
        }
    }

    /// Faults, elections and deaths between the two points, and a moment before.
    private func tellEvents(
        _ scenario: Scenario,
        _ seed: UInt64,
        _ jump: (from: Explanation.Point, to: Explanation.Point)
    ) {
        let from = (jump.from.at - .seconds(1)).inSeconds
        let end = jump.to.at.inSeconds
        Output.write("\nwhat happened around then:\n")
        _ = Simulation(scenario: scenario, seed: seed) { line in
            guard let event = Event(line), (from...max(from, end)).contains(event.t),
                event.isKey
            else { return }
            Output.write("    \(event.t) s  \(event.node ?? "")  \(event.message)\n")
        }.run()
    }

    private struct Event: Decodable {
        let t: Double
        let kind: String
        let node: String?
        let message: String

        init?(_ line: String) {
            // Most lines are messages, and need not be read.
            guard !line.contains("\"kind\":\"send\""), !line.contains("\"kind\":\"deliver\""),
                let event = try? JSONDecoder().decode(Self.self, from: Data(line.utf8))
            else { return nil }
            self = event
        }

        var isKey: Bool {
            ["fault", "start", "stop", "state", "violation"].contains(kind)
                || (kind == "log" && message.hasPrefix("election"))
        }
    }

    private func printJSON(_ explanation: Explanation) throws {
        struct Row: Encodable {
            let seconds: Double
            let failures: Int
            let runs: Int
        }
        let rows = explanation.points.map {
            Row(seconds: $0.at.inSeconds, failures: $0.failureCount, runs: $0.runCount)
        }
        let data = try JSONEncoder().encode(rows)
        Output.write(String(decoding: data, as: UTF8.self) + "\n")
    }
}
