import ArgumentParser
import FoundationEssentials
import Primitives
import Simulator

struct SimulateSweepCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sweep",
        abstract: "Run scenarios with many seeds.",
        discussion: """
            Each scenario with each seed, on all cores:
              caravan simulate sweep Simulations --seeds 1..1000
            In CI, for two minutes with seeds that nobody has tried, failures as JUnit's:
              caravan simulate sweep Simulations --fresh 120 --junit sweep.xml
            For hours: stop it whenever you like, and the same command goes on from there:
              caravan simulate sweep Simulations --seeds 1..10000 --resume sweep.jsonl

            A folder's regressions/ is swept too. The first failure of a scenario is made small \
            and kept there. Exit codes: 0 all held, 1 something did not, 2 a scenario makes no \
            sense.
            """
    )

    @Argument(help: ArgumentHelp("A scenario, or a folder of them.", valueName: "file-or-folder"))
    var path: String

    @Option(help: ArgumentHelp("The first and the last seed.", valueName: "first..last"))
    var seeds: SeedRange?

    @Option(
        help: ArgumentHelp(
            "Sweep for so long, with seeds that start at today's number.",
            valueName: "seconds"
        )
    )
    var fresh: Double?

    @Option(help: "How many runs are made at a time; all cores if none is given.")
    var jobs: Int?

    @Option(help: ArgumentHelp("Write a report that CI systems read.", valueName: "file"))
    var junit: String?

    @Option(
        help: ArgumentHelp(
            "Write a line with scenario, seed and hash for each run, to compare two sweeps.",
            valueName: "file"
        )
    )
    var hashes: String?

    @Option(
        help: ArgumentHelp(
            "Keep what was done in this file, and leave out what is in it; not with --fresh or --hashes.",
            valueName: "file"
        )
    )
    var resume: String?

    @Flag(help: "Make each run twice and compare.")
    var twice = false

    @Flag(help: "Drive every agent's machines a second time, without its actors, and compare.")
    var shadow = false

    @Flag(help: "Say what happened how often.")
    var coverage = false

    @Flag(help: "Something that should have been seen and was not is a failure.")
    var requireCoverage = false

    @Flag(help: "Print a summary for scripts.")
    var json = false

    @Flag(help: "Say nothing while it runs.")
    var quiet = false

    @Flag(help: "Leave failures as they are.")
    var noShrink = false

    func run() async throws {
        let jobs = jobs ?? ProcessInfo.processInfo.activeProcessorCount
        guard 1...256 ~= jobs else {
            throw ScenarioFile.refused("--jobs takes a number from 1 to 256")
        }
        guard (seeds == nil) != (fresh == nil) else {
            throw ScenarioFile.refused("give either --seeds 1..1000 or --fresh 120")
        }
        guard resume == nil || (fresh == nil && hashes == nil) else {
            throw ScenarioFile.refused(
                "--resume goes with --seeds, and not with --hashes, which needs all runs at once"
            )
        }
        let files = try ScenarioFile.all(at: path, withRegressions: true)
            .map { try ScenarioFile.read($0) }
        let range = seeds ?? .fromToday
        if fresh != nil { Output.writeError("fresh seeds from \(range.first) on") }
        let lines = try hashes.map { try LineFile($0) }
        let journal = try resume.map { try SweepJournal($0) }
        let sweep = try Sweep(
            files: files,
            seeds: range,
            limit: fresh.map { .seconds($0) },
            isTwice: twice,
            keepsHashes: lines != nil,
            hasShadows: shadow,
            journal: journal
        )
        if sweep.keptCount > 0 {
            Output.writeError("\(sweep.keptCount) runs were made before, and count")
        }
        let progress = SweepProgress(sweep, isQuiet: quiet)
        await sweep.run(jobs: jobs) { progress.tell() }
        progress.end()
        let outcome = sweep.outcome
        for line in outcome.hashLines { lines?.write(line) }
        try lines?.end()
        try report(outcome)
    }

    private func report(_ outcome: SweepOutcome) throws {
        var total = SweepSummary()
        for (file, summary) in outcome.summaries {
            total.add(summary)
            if !json { Output.write(summary.line(for: file) + "\n") }
        }
        let failures = outcome.summaries.flatMap { file, summary in
            SweepFailures.described(summary, of: file, shrinks: !noShrink)
        }
        for failure in failures { Output.writeError(failure.line) }
        if ProcessInfo.processInfo.environment["GITHUB_ACTIONS"] != nil {
            for failure in failures { Output.write(failure.annotation + "\n") }
        }
        if let junit {
            let page = try LineFile(junit)
            page.write(JUnitReport.text(outcome, failures))
            try page.end()
        }
        let unseen = Sometimes.all.filter { !$0.isSeen(in: total.records) }
        if json {
            Output.write(
                SweepJSON.text(total, outcome, failures, unseen: unseen.map(\.name)) + "\n"
            )
        } else {
            if coverage { Output.write(total.coverageLines + "\n") }
            Output.write(total.qualityLines + "\n")
            let count = Sometimes.all.count
            Output.write("sometimes: \(count - unseen.count) of \(count) seen\n")
            for fact in unseen { Output.write("  never: \(fact.name)\n") }
            Output.write(total.speedLine(seconds: outcome.seconds) + "\n")
        }
        let lacksCoverage = requireCoverage && !unseen.isEmpty
        if lacksCoverage { Output.writeError("the sweep has not seen all that it should have") }
        if !total.failures.isEmpty || lacksCoverage { throw ExitCode(1) }
    }
}

/// `1..10000`, or a single seed.
struct SeedRange: ExpressibleByArgument, Sendable {
    let first: UInt64
    let last: UInt64

    private init(first: UInt64, last: UInt64) {
        self.first = first
        self.last = last
    }

    init?(argument: String) {
        let parts = argument.split(separator: ".", omittingEmptySubsequences: false)
        switch parts.count {
        case 1:
            guard let seed = UInt64(argument) else { return nil }
            (first, last) = (seed, seed)
        case 3:
            guard parts[1].isEmpty, let first = UInt64(parts[0]), let last = UInt64(parts[2]),
                first <= last, last < 1 << 53
            else { return nil }
            (self.first, self.last) = (first, last)
        default: return nil
        }
    }

    static func upTo(_ last: UInt64) -> SeedRange {
        SeedRange(first: 1, last: last)
    }

    /// Seeds that no other day has.
    static var fromToday: SeedRange {
        let day = UInt64(max(0, Date.now.timeIntervalSince1970 / 86_400))
        return SeedRange(first: day * 1_000_000, last: day * 1_000_000 + 999_999)
    }
}
