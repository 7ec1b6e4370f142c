import Primitives
import Simulator
import Synchronization

/// Runs each scenario with each seed, on several threads that take their work from one place.
final class Sweep: Sendable {
    let files: [ScenarioFile]
    private let seeds: SeedRange
    private let limit: Duration?
    private let isTwice: Bool
    private let keepsHashes: Bool
    private let hasShadows: Bool
    private let start = ContinuousClock.now
    private let state: Mutex<State>

    /// How many violations are told as they are found, and from when on; the report has them all.
    private static let toldFailureLimit = 20
    private static let longSweep: Duration = .seconds(10)

    private struct State {
        var next: UInt64 = 0
        var doneCount = 0
        var failureCount = 0
        var summaries: [SweepSummary]
        var hashes: [(file: Int, seed: UInt64, hash: UInt64)] = []
        var end: ContinuousClock.Instant?
    }

    /// - Parameter limit: nil for all seeds.
    init(
        files: [ScenarioFile],
        seeds: SeedRange,
        limit: Duration?,
        isTwice: Bool,
        keepsHashes: Bool,
        hasShadows: Bool
    ) {
        // What takes longest comes first, so that no core is left with it at the end.
        self.files = files.sorted { $0.scenario.nodeCount > $1.scenario.nodeCount }
        self.seeds = seeds
        self.limit = limit
        self.isTwice = isTwice
        self.keepsHashes = keepsHashes
        self.hasShadows = hasShadows
        state = Mutex(State(summaries: Array(repeating: SweepSummary(), count: files.count)))
    }

    /// Nil if time is the limit.
    var runCount: Int? {
        limit == nil ? Int(seeds.last - seeds.first + 1) * files.count : nil
    }

    var elapsed: Duration { ContinuousClock.now - start }
    var timeLimit: Duration? { limit }

    var progress: (done: Int, failures: Int) {
        state.withLock { ($0.doneCount, $0.failureCount) }
    }

    /// - Parameter tell: called now and then, on any thread.
    func run(jobs: Int, tell: @escaping @Sendable () -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<jobs {
                group.addTask { @concurrent in
                    while let (file, seed) = self.take() {
                        self.make(file, seed)
                        tell()
                    }
                }
            }
        }
        state.withLock { $0.end = .now }
    }

    private func take() -> (file: Int, seed: UInt64)? {
        if let limit, elapsed >= limit { return nil }
        return state.withLock { state in
            let number = state.next
            state.next += 1
            let count = UInt64(files.count)
            // With a limit, all scenarios get their share of the time; otherwise one after the
            // other.
            let seedCount = seeds.last - seeds.first + 1
            guard number / seedCount < count else { return nil }
            return limit == nil
                ? (Int(number / seedCount), seeds.first + number % seedCount)
                : (Int(number % count), seeds.first + number / count)
        }
    }

    private func make(_ index: Int, _ seed: UInt64) {
        let scenario = files[index].scenario
        var result = Simulation(scenario: scenario, seed: seed, hasShadows: hasShadows).run()
        if isTwice, result.violation == nil {
            let again = Simulation(scenario: scenario, seed: seed).run()
            if again.hash != result.hash {
                result.violation = Violation(
                    invariant: "determinism",
                    detail: "the same seed gave another run",
                    at: .zero
                )
            }
        }
        state.withLock { [result] state in
            state.doneCount += 1
            if let violation = result.violation {
                state.failureCount += 1
                // Whoever stops a long sweep knows at least what it found until then.
                if elapsed > Self.longSweep, state.failureCount <= Self.toldFailureLimit {
                    Output.writeError(
                        "\(violation.invariant) is violated: caravan simulate run "
                            + "\(files[index].path) --seed \(seed)"
                    )
                }
            }
            state.summaries[index].add(result)
            if keepsHashes { state.hashes.append((index, seed, result.hash)) }
        }
    }

    var outcome: SweepOutcome {
        state.withLock { state in
            let order = files.indices.sorted { files[$0].path < files[$1].path }
            let lines = state.hashes.map { entry in
                "\(files[entry.file].path) \(entry.seed) "
                    + SimulateCommand.hexadecimal(entry.hash)
            }
            return SweepOutcome(
                summaries: order.map { (files[$0], state.summaries[$0].sorted) },
                seconds: ((state.end ?? .now) - start).inSeconds,
                hashLines: lines.sorted()
            )
        }
    }
}

struct SweepOutcome: Sendable {
    var summaries: [(file: ScenarioFile, summary: SweepSummary)]
    var seconds: Double
    var hashLines: [String]
}

/// Tells how far a sweep is: in place on a terminal, otherwise a line now and then.
final class SweepProgress: Sendable {
    private let sweep: Sweep
    private let interval: Duration?
    private let isTerminal: Bool
    private let told: Mutex<ContinuousClock.Instant>

    init(_ sweep: Sweep, isQuiet: Bool) {
        self.sweep = sweep
        isTerminal = Output.errorIsTerminal
        interval = isQuiet ? nil : isTerminal ? .milliseconds(200) : .seconds(5)
        told = Mutex(.now)
    }

    func tell() {
        guard let interval else { return }
        let isDue = told.withLock { told in
            guard ContinuousClock.now - told >= interval else { return false }
            told = .now
            return true
        }
        guard isDue else { return }
        if isTerminal {
            Output.writeErrorPiece("\r\u{1B}[K" + text)
        } else {
            Output.writeError(text)
        }
    }

    func end() {
        if isTerminal, interval != nil { Output.writeErrorPiece("\r\u{1B}[K") }
    }

    private var text: String {
        let (done, failures) = sweep.progress
        let seconds = max(0.001, sweep.elapsed.inSeconds)
        let rate = Double(done) / seconds
        var text = "\(done)"
        var left: Double?
        if let count = sweep.runCount {
            text += " of \(count)"
            left = Double(count - done) / max(rate, 0.001)
        } else if let limit = sweep.timeLimit {
            left = limit.inSeconds - seconds
        }
        text += " runs, \(Int(rate)) seeds/s, \(failures) violations"
        if let left { text += ", \(max(0, Int(left))) s left" }
        return text
    }
}
