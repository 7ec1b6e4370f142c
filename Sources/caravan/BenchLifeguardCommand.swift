import ArgumentParser
import FoundationEssentials
import Primitives
import SWIM
import Simulator

struct BenchLifeguardCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lifeguard",
        abstract: "Simulate members that stand still: who is accused wrongly, part by part.",
        discussion: """
            The experiment of the Lifeguard paper (arXiv 1707.00788): of 128 members some stand \
            still for a while, run for a while, and so on, for two minutes. Counted is how often a \
            member that never stood still was declared dead: by SWIM alone, with each part of \
            Lifeguard, with all of it, and as deployed; beside the shares of SWIM's stand those \
            that the paper published (its table of aggregated false positives, over its whole \
            grid). Then some stand still for good: how soon is that known?
              caravan bench lifeguard                    some minutes
              caravan bench lifeguard --full --seeds 3   the paper's whole grid, hours

            Exit codes: 0 as deployed at most 2 % of SWIM's false accusations, at no later median; \
            1 otherwise.
            """
    )

    @Option(help: "How many members.")
    var members = 128

    @Option(help: "How many runs of each combination.")
    var seeds: UInt64 = 1

    @Flag(help: "The paper's whole grid instead of a part of it.")
    var full = false

    @Flag(help: "Stop members as SIGSTOP does, timers too; the paper blocks their messages.")
    var stopped = false

    @Option(help: "How many runs are made at a time; all cores if none is given.")
    var jobs: Int?

    @Flag(help: "Print JSON; its keys are stable.")
    var json = false

    private struct Variant: Sendable {
        let name: String
        let parts: DetectorParts
        /// The paper's shares of SWIM's, in percent; nil of what it did not try.
        var published: Published?
    }

    private struct Published: Sendable {
        let share: Double
        let atHealthy: Double
    }

    private static var variants: [Variant] {
        var probe = DetectorParts.swim
        probe.stretchesProbes = true
        var suspicion = DetectorParts.swim
        suspicion.shrinksSuspicions = true
        var buddy = DetectorParts.swim
        buddy.tellsSuspects = true
        return [
            Variant(
                name: "SWIM",
                parts: .swim,
                published: Published(share: 100, atHealthy: 100)
            ),
            Variant(
                name: "LHA-Probe",
                parts: probe,
                published: Published(share: 67.72, atHealthy: 32.88)
            ),
            Variant(
                name: "LHA-Suspicion",
                parts: suspicion,
                published: Published(share: 3, atHealthy: 6.71)
            ),
            Variant(
                name: "Buddy System",
                parts: buddy,
                published: Published(share: 94.08, atHealthy: 44.57)
            ),
            Variant(
                name: "Lifeguard",
                parts: .lifeguard,
                published: Published(share: 1.53, atHealthy: 1.89)
            ),
            Variant(name: "as deployed", parts: .deployed),
        ]
    }

    /// What came out for one variant, over all runs.
    private struct Row: Codable, Sendable {
        var name: String
        var falsePositives = 0
        var falsePositivesAtHealthy = 0
        var datagrams = 0
        var firstDetectionMedian: Double?
        var detectionMedian: Double?
        var detectionP99: Double?
        /// Percent of SWIM's.
        var falsePositiveShare: Double?
        var falsePositiveAtHealthyShare: Double?
        /// The same in the paper; nil where it has none.
        var publishedShare: Double?
        var publishedAtHealthyShare: Double?
    }

    func run() async throws {
        let jobs = jobs ?? ProcessInfo.processInfo.activeProcessorCount
        guard 8...1000 ~= members, 1...1000 ~= seeds, 1...256 ~= jobs else {
            throw ValidationError("--members takes 8 to 1000, --seeds 1 to 1000, --jobs 1 to 256")
        }
        var rows: [Row] = []
        for variant in Self.variants {
            let row = await measure(variant, jobs)
            rows.append(row)
            Output.writeError(
                "\(variant.name): \(row.falsePositives) false accusations, "
                    + "\(row.falsePositivesAtHealthy) of them at healthy members"
            )
        }
        guard let base = rows.first else { return }
        for index in rows.indices {
            rows[index].falsePositiveShare = share(rows[index].falsePositives, base.falsePositives)
            rows[index].falsePositiveAtHealthyShare = share(
                rows[index].falsePositivesAtHealthy,
                base.falsePositivesAtHealthy
            )
        }
        print(json ? BenchReport.encoded(rows) : text(rows))
        guard let last = rows.last, let share = last.falsePositiveShare, share <= 2,
            let own = last.detectionMedian, let other = base.detectionMedian, own <= other
        else { throw ExitCode(1) }
    }

    private func share(_ count: Int, _ base: Int) -> Double? {
        base > 0 ? Double(count) / Double(base) * 100 : nil
    }

    /// Members at a time, milliseconds still, milliseconds between.
    private var grid: [(Int, Int, Int)] {
        let concurrencies = full ? [1, 4, 8, 12, 16, 20, 24, 28, 32] : [4, 16, 32]
        let durations = full ? [128, 512, 2048, 8192, 16384, 32768] : [2048, 16384, 32768]
        let intervals = full ? [1, 4, 16, 64, 256, 1024, 4096, 16384] : [4, 256, 4096]
        return concurrencies.flatMap { count in
            durations.flatMap { duration in intervals.map { (count, duration, $0) } }
        }.filter { $0.0 < members }
    }

    private func experiments(_ variant: Variant) -> [LifeguardExperiment] {
        var configuration = SWIMConfiguration()
        configuration.suspicionMultiplier = 5
        configuration.suspicionMaximumMultiplier = 6
        configuration.parts = variant.parts
        var all: [LifeguardExperiment] = []
        for seed in 1...seeds {
            for (count, duration, interval) in grid {
                all.append(
                    LifeguardExperiment(
                        concurrency: count,
                        duration: .milliseconds(duration),
                        interval: .milliseconds(interval),
                        configuration: configuration,
                        seed: seed
                    )
                )
            }
            for run in 0..<4 as Range<UInt64> {
                var permanent = LifeguardExperiment(
                    concurrency: 4,
                    duration: .zero,
                    interval: .zero,
                    configuration: configuration,
                    seed: seed * 1000 + run
                )
                permanent.isPermanent = true
                all.append(permanent)
            }
        }
        for index in all.indices {
            all[index].memberCount = members
            all[index].anomaly = stopped ? .stopped : .blocked
        }
        return all
    }

    private func measure(_ variant: Variant, _ jobs: Int) async -> Row {
        let experiments = experiments(variant)
        var row = Row(name: variant.name)
        row.publishedShare = variant.published?.share
        row.publishedAtHealthyShare = variant.published?.atHealthy
        var first: [Double] = []
        var every: [Double] = []
        await withTaskGroup(of: (Bool, LifeguardExperiment.Outcome).self) { group in
            var (next, doneCount, told) = (0, 0, ContinuousClock.now)
            func add() {
                guard next < experiments.count else { return }
                let experiment = experiments[next]
                next += 1
                group.addTask { (experiment.isPermanent, experiment.run()) }
            }
            for _ in 0..<jobs { add() }
            while let (isPermanent, outcome) = await group.next() {
                add()
                doneCount += 1
                if ContinuousClock.now - told >= .seconds(5) {
                    told = .now
                    Output.writeError("\(variant.name): \(doneCount) of \(experiments.count) runs")
                }
                row.falsePositives += outcome.falsePositives
                row.falsePositivesAtHealthy += outcome.falsePositivesAtHealthy
                row.datagrams += outcome.datagramCount
                guard isPermanent else { continue }
                first += outcome.firstDetections.map(\.inSeconds)
                every += outcome.detections.map(\.inSeconds)
            }
        }
        row.firstDetectionMedian = BenchReport.median(first)
        row.detectionMedian = BenchReport.median(every)
        row.detectionP99 =
            every.isEmpty ? nil : every.sorted()[min(every.count - 1, every.count * 99 / 100)]
        return row
    }

    private func text(_ rows: [Row]) -> String {
        var lines = [
            "\(members) members, \(grid.count) combinations, \(seeds) runs of each; α 5, β 6",
            "| | FP | of SWIM's | published | FP- | of SWIM's | published | first knows | median "
                + "| p99 | datagrams |",
            "|---|---|---|---|---|---|---|---|---|---|---|",
        ]
        for row in rows {
            let cells = [
                row.name, "\(row.falsePositives)", percent(row.falsePositiveShare),
                percent(row.publishedShare), "\(row.falsePositivesAtHealthy)",
                percent(row.falsePositiveAtHealthyShare), percent(row.publishedAtHealthyShare),
                seconds(row.firstDetectionMedian), seconds(row.detectionMedian),
                seconds(row.detectionP99), "\(row.datagrams)",
            ]
            lines.append("| " + cells.joined(separator: " | ") + " |")
        }
        return lines.joined(separator: "\n")
    }

    private func percent(_ share: Double?) -> String {
        share.map { "\(BenchReport.fixed($0, 2)) %" } ?? "none"
    }

    private func seconds(_ time: Double?) -> String {
        time.map { "\(BenchReport.fixed($0, 2)) s" } ?? "never"
    }
}
