import ArgumentParser
import Primitives
import Simulator
import Synchronization

struct SimulateSweepCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sweep",
        abstract: "Run scenarios with many seeds."
    )

    @Argument(help: ArgumentHelp("A scenario, or a folder of them.", valueName: "file-or-folder"))
    var path: String

    @Option(help: ArgumentHelp("The first and the last seed.", valueName: "first..last"))
    var seeds: SeedRange

    @Option(help: "How many runs are made at a time.")
    var jobs = 1

    @Flag(help: "Say what happened how often.")
    var coverage = false

    private static let jobLimit = 256

    func run() async throws {
        guard 1...Self.jobLimit ~= jobs else {
            throw ScenarioFile.refused("--jobs takes a number from 1 to \(Self.jobLimit)")
        }
        let files = try ScenarioFile.all(at: path).map { try ScenarioFile.read($0) }
        let clock = ContinuousClock()
        let start = clock.now
        var total = SweepSummary()
        for file in files {
            let summary = await sweep(file)
            total.add(summary)
            print(summary.line(for: file, seeds: seeds))
            for failure in summary.failures.prefix(SweepSummary.failureLimit) {
                let command = SimulateCommand.repeating(file, seed: failure.seed)
                Output.writeError("\(failure.violation) — seed \(failure.seed): \(command)")
            }
            Output.flush()
        }
        let seconds = (clock.now - start).inSeconds
        print(total.speedLine(seconds: seconds))
        if coverage { print(total.coverageLines) }
        if !total.failures.isEmpty { throw ExitCode(1) }
    }

    private func sweep(_ file: ScenarioFile) async -> SweepSummary {
        let seeds = RemainingSeeds(seeds)
        var all = SweepSummary()
        await withTaskGroup(of: SweepSummary.self) { group in
            for _ in 0..<jobs {
                group.addTask { @concurrent in
                    var own = SweepSummary()
                    while let seed = seeds.next() {
                        own.add(Simulation(scenario: file.scenario, seed: seed).run())
                    }
                    return own
                }
            }
            for await summary in group { all.add(summary) }
        }
        return all.sorted
    }
}

/// `1..10000`, or a single seed.
struct SeedRange: ExpressibleByArgument, Sendable {
    let first: UInt64
    let last: UInt64

    init?(argument: String) {
        let parts = argument.split(separator: ".", omittingEmptySubsequences: false)
        switch parts.count {
        case 1:
            guard let seed = UInt64(argument) else { return nil }
            (first, last) = (seed, seed)
        case 3:
            guard parts[1].isEmpty, let first = UInt64(parts[0]), let last = UInt64(parts[2]),
                first <= last, last < .max
            else { return nil }
            (self.first, self.last) = (first, last)
        default: return nil
        }
    }
}

/// The seeds that nobody has taken yet.
private final class RemainingSeeds: Sendable {
    private let upcoming: Atomic<UInt64>
    private let last: UInt64

    init(_ range: SeedRange) {
        upcoming = Atomic(range.first)
        last = range.last
    }

    func next() -> UInt64? {
        let seed = upcoming.wrappingAdd(1, ordering: .relaxed).oldValue
        return seed <= last ? seed : nil
    }
}

/// What many runs came to.
struct SweepSummary: Sendable {
    struct Failure: Sendable {
        let seed: UInt64
        let violation: Violation
    }

    static let failureLimit = 5

    private(set) var runCount = 0
    private(set) var failures: [Failure] = []
    private var sentCount = 0
    private var virtualTime: Duration = .zero
    private var convergence: [Duration] = []
    private var records: [String: Int] = [:]

    mutating func add(_ result: SimulationResult) {
        runCount += 1
        if let violation = result.violation {
            failures.append(Failure(seed: result.seed, violation: violation))
        }
        sentCount += result.statistics.sentCount
        virtualTime += result.virtualTime
        if let converged = result.convergedAfter { convergence.append(converged) }
        records.merge(result.statistics.records, uniquingKeysWith: +)
    }

    mutating func add(_ other: SweepSummary) {
        runCount += other.runCount
        failures += other.failures
        sentCount += other.sentCount
        virtualTime += other.virtualTime
        convergence += other.convergence
        records.merge(other.records, uniquingKeysWith: +)
    }

    var sorted: SweepSummary {
        var sorted = self
        sorted.failures.sort { $0.seed < $1.seed }
        sorted.convergence.sort()
        return sorted
    }

    func line(for file: ScenarioFile, seeds: SeedRange) -> String {
        var line = "\(file.scenario.name): \(runCount) runs, \(failures.count) violations"
        if let last = convergence.last {
            let middle = convergence[convergence.count / 2]
            let high = convergence[min(convergence.count - 1, convergence.count * 99 / 100)]
            line += ", all well after p50 \(middle.inSeconds) s, p99 \(high.inSeconds) s"
            line += ", at most \(last.inSeconds) s"
        }
        return line
    }

    func speedLine(seconds: Double) -> String {
        let rate = Int(Double(sentCount) / seconds)
        let runs = Int(Double(runCount) / seconds * 60)
        let virtual = Int(virtualTime.inSeconds / seconds)
        let rounded = Double(Int(seconds * 10)) / 10
        return "\(runCount) runs in \(rounded) s: \(rate) datagrams/s, \(runs) seeds/min, "
            + "\(virtual) virtual seconds a second"
    }

    var coverageLines: String {
        records.sorted { $0.key < $1.key }.map { "  \($0.key): \($0.value)" }
            .joined(separator: "\n")
    }
}
