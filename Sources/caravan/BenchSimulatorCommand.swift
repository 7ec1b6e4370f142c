import ArgumentParser
import FoundationEssentials
import Primitives
import Simulator

struct BenchSimulatorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulator",
        abstract: "How fast simulations run here, and how much memory a large one takes.",
        discussion: """
            Four measurements, in this order:
              large     one run of many agents, on one core: how long, and the peak of memory
              hour      one run of five agents for a virtual hour in which nothing happens
              messages  runs of five agents and a model, on all cores: datagrams sent a second
              seeds     runs of five agents with faults of the network drawn from the seed,
                        120 virtual seconds and the healing after them, on all cores: how many \
            a minute

              caravan bench simulator
              caravan bench simulator --nodes 300 --virtual 60 --seconds 5    a quick one

            Only a release build (swift build -c release) on a machine that does nothing else \
            tells much. Exit codes: 0 done, 1 a run did not do what it should.
            """
    )

    @Option(help: "How many agents the large run has.")
    var nodes = 1000

    @Option(help: ArgumentHelp("How long the large run lasts.", valueName: "virtual seconds"))
    var virtual = 600

    @Option(
        help: ArgumentHelp("How long messages and seeds are counted, each.", valueName: "seconds")
    )
    var seconds = 20

    @Option(help: "How many runs are made at a time; all cores if none is given.")
    var jobs: Int?

    @Flag(help: "Print JSON; its keys are stable.")
    var json = false

    /// What came out; times are those of a clock on the wall.
    private struct Report: Codable {
        var nodes: Int
        var virtualSeconds: Int
        var largeSeconds = 0.0
        var largeDatagrams = 0
        /// The most memory that the process held until then; nil where the system does not tell.
        var largePeakKiB: Int?
        var hourSeconds = 0.0
        var hourDatagrams = 0
        var jobs: Int
        var datagramsPerSecond = 0
        var seedsPerMinute = 0
    }

    func run() async throws {
        let jobs = jobs ?? ProcessInfo.processInfo.activeProcessorCount
        guard 2...1000 ~= nodes, 60...86_400 ~= virtual, 1...3600 ~= seconds, 1...256 ~= jobs
        else {
            throw ValidationError(
                "--nodes takes 2 to 1000, --virtual 60 to 86400, --seconds 1 to 3600, --jobs 1 "
                    + "to 256"
            )
        }
        var report = Report(nodes: nodes, virtualSeconds: virtual, jobs: jobs)
        // First, so that the peak of memory is its own.
        let large = try measure("large", BenchScenario.large(nodes: nodes, seconds: virtual))
        report.largeSeconds = large.seconds
        report.largeDatagrams = large.result.statistics.sentCount
        report.largePeakKiB = ProcessTools.peakKiB
        let hour = try measure("hour", BenchScenario.hour)
        report.hourSeconds = hour.seconds
        report.hourDatagrams = hour.result.statistics.sentCount
        let messages = try await sweep("messages", BenchScenario.messages, jobs)
        report.datagramsPerSecond = Int(Double(messages.summary.sentCount) / messages.seconds)
        let seeds = try await sweep("seeds", BenchScenario.seeds, jobs)
        report.seedsPerMinute = Int(Double(seeds.summary.runCount) / seeds.seconds * 60)
        print(json ? BenchReport.encoded(report) : text(report))
    }

    // MARK: - Measuring

    private func measure(
        _ name: String,
        _ json: String
    ) throws -> (seconds: Double, result: SimulationResult) {
        let clock = ContinuousClock()
        let start = clock.now
        let scenario = try BenchScenario.read(json)
        let total = Int(scenario.duration.inSeconds)
        let result = Simulation(scenario: scenario, seed: 1).run { now in
            Self.tell("\(name): \(Int(now.inSeconds)) of \(total) virtual seconds")
        }
        Self.endTelling()
        if let violation = result.violation { throw CommandFailure("\(name): \(violation)") }
        return ((clock.now - start).inSeconds, result)
    }

    private func sweep(
        _ name: String,
        _ json: String,
        _ jobs: Int
    ) async throws -> (summary: SweepSummary, seconds: Double) {
        let file = ScenarioFile(path: name, scenario: try BenchScenario.read(json))
        let sweep = try Sweep(
            files: [file],
            seeds: .upTo(1_000_000),
            limit: .seconds(seconds),
            isTwice: false,
            keepsHashes: false,
            hasShadows: false
        )
        let seconds = seconds
        await sweep.run(jobs: jobs) {
            let left = max(0, seconds - Int(sweep.elapsed.inSeconds))
            Self.tell("\(name): \(sweep.progress.done) runs, \(left) s left")
        }
        Self.endTelling()
        let outcome = sweep.outcome
        guard let summary = outcome.summaries.first?.summary, summary.runCount > 0 else {
            throw CommandFailure("\(name): no run was made")
        }
        if let failure = summary.failures.first {
            throw CommandFailure("\(name), seed \(failure.seed): \(failure.violation)")
        }
        return (summary, outcome.seconds)
    }

    // MARK: - Telling

    /// In place, where somebody looks; pipes get the results only.
    private static func tell(_ text: String) {
        guard Output.errorIsTerminal else { return }
        Output.writeErrorPiece("\r\u{1B}[K" + text)
    }

    private static func endTelling() {
        if Output.errorIsTerminal { Output.writeErrorPiece("\r\u{1B}[K") }
    }

    private func text(_ report: Report) -> String {
        let large = Double(report.largeDatagrams) / report.largeSeconds
        var lines = [
            "large     \(report.nodes) agents, \(report.virtualSeconds) virtual s: "
                + "\(BenchReport.fixed(report.largeSeconds, 1)) s, "
                + "\(report.largeDatagrams) datagrams, \(Int(large)) a second"
        ]
        if let peak = report.largePeakKiB {
            lines[0] += ", at most \(BenchReport.fixed(Double(peak) / 1024, 0)) MiB"
        }
        lines += [
            "hour      5 agents, 3600 virtual s: \(BenchReport.fixed(report.hourSeconds, 2)) s, "
                + "\(report.hourDatagrams) datagrams",
            "messages  \(report.datagramsPerSecond) datagrams a second, \(report.jobs) jobs",
            "seeds     \(report.seedsPerMinute) a minute, \(report.jobs) jobs",
        ]
        return lines.joined(separator: "\n")
    }
}

/// What is run; in the program, so that it can be measured without the project's files.
private enum BenchScenario {
    static func large(nodes: Int, seconds: Int) -> String {
        """
        {"name": "large", "nodes": \(nodes), "startWithin": "10s", "duration": "\(seconds)s",
         "liveness": {"at": "15s", "within": "45s"}}
        """
    }

    static let hour = #"{"name": "hour", "nodes": 5, "duration": "1h"}"#

    /// The same as Simulations/healthy.sim.json.
    static let messages = """
        {"name": "messages", "nodes": 5, "model": {"requestEvery": "5s"}, "duration": "300s",
         "liveness": {"at": "20s", "within": "10s"},
         "expect": ["convergence", "stability", "ready"]}
        """

    /// The same as Simulations/swarm-network.sim.json.
    static let seeds = """
        {"name": "seeds", "nodes": 5,
         "swarm": {"lasts": ["50ms", "15s"], "partition": [0, 0.2], "oneWay": [0, 0.2],
                   "bridge": [0, 0.1], "loss": [0, 0.1]},
         "liveness": {"at": "120s", "within": "60s", "hold": "15s"}}
        """

    static func read(_ json: String) throws -> Scenario {
        do throws(ScenarioError) {
            return try Scenario(json: Array(json.utf8))
        } catch {
            throw CommandFailure("a scenario of this program makes no sense: \(error)")
        }
    }
}
