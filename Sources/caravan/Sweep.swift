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
    private let journal: SweepJournal?
    private let start = ContinuousClock.now
    private let state: Mutex<State>

    /// How many violations are told as they are found, and from when on; the report has them all.
    private static let toldFailureLimit = 20
    private static let longSweep: Duration = .seconds(10)

    private struct State {
        var next: UInt64 = 0
        /// What calls before this one have done, and how many runs that were.
        var kept: Set<Block> = []
        var keptCount = 0
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
        hasShadows: Bool,
        journal: SweepJournal? = nil
    ) throws {
        // What takes longest comes first, so that no core is left with it at the end.
        self.files = files.sorted { $0.scenario.nodeCount > $1.scenario.nodeCount }
        self.seeds = seeds
        self.limit = limit
        self.isTwice = isTwice
        self.keepsHashes = keepsHashes
        self.hasShadows = hasShadows
        self.journal = journal
        state = Mutex(State(summaries: Array(repeating: SweepSummary(), count: files.count)))
        if let journal { try take(over: journal) }
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

    /// How many runs calls before this one have made.
    var keptCount: Int { state.withLock { $0.keptCount } }

    /// - Parameter tell: called now and then, on any thread.
    func run(jobs: Int, tell: @escaping @Sendable () -> Void) async {
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<jobs {
                group.addTask { @concurrent in
                    while let block = self.take() {
                        self.make(block, tell)
                    }
                }
            }
        }
        state.withLock { $0.end = .now }
    }

    /// Some seeds of one scenario, which one thread does one after the other.
    private struct Block: Hashable {
        let file: Int
        let first: UInt64
        let last: UInt64
    }

    private func take() -> Block? {
        if let limit, elapsed >= limit { return nil }
        return state.withLock { state in
            while let block = block(state.next) {
                state.next += 1
                if !state.kept.contains(block) { return block }
            }
            return nil
        }
    }

    private func block(_ number: UInt64) -> Block? {
        let size = journal == nil ? 1 : SweepJournal.blockSize
        let seedCount = seeds.last - seeds.first + 1
        let blockCount = (seedCount + size - 1) / size
        let count = UInt64(files.count)
        guard number / blockCount < count else { return nil }
        // Where a sweep may be stopped, all scenarios get their share of the time; otherwise one
        // comes after the other.
        let isInTurns = limit != nil || journal != nil
        let file = isInTurns ? number % count : number / blockCount
        let first = seeds.first + (isInTurns ? number / count : number % blockCount) * size
        return Block(file: Int(file), first: first, last: min(seeds.last, first + size - 1))
    }

    private func make(_ block: Block, _ tell: @Sendable () -> Void) {
        var summary = SweepSummary()
        var hash: UInt64 = 0
        for seed in block.first...block.last {
            let result = make(block.file, seed)
            if seed == block.first { hash = result.hash }
            summary.add(result)
            tell()
        }
        state.withLock { $0.summaries[block.file].add(summary) }
        guard let journal else { return }
        journal.add(
            SweepJournal.Entry(
                path: files[block.file].path,
                scenario: files[block.file].fingerprint,
                first: block.first,
                last: block.last,
                hash: SimulateCommand.hexadecimal(hash),
                summary: summary,
                call: journal.call,
                seconds: elapsed.inSeconds,
                options: options
            )
        )
    }

    private func make(_ index: Int, _ seed: UInt64) -> SimulationResult {
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
            if keepsHashes { state.hashes.append((index, seed, result.hash)) }
        }
        return result
    }

    // MARK: - Continuing

    /// What runs are compared with, beside what must hold.
    private var options: String {
        [isTwice ? "twice" : nil, hasShadows ? "shadow" : nil].compactMap(\.self)
            .joined(separator: " ")
    }

    private func check(
        _ entry: SweepJournal.Entry,
        against file: ScenarioFile,
        of journal: SweepJournal
    ) throws {
        let run = Simulation(scenario: file.scenario, seed: entry.first).run()
        let hash = SimulateCommand.hexadecimal(run.hash)
        guard hash == entry.hash else {
            throw ScenarioFile.refused(
                "\(journal.path): \(file.path) runs otherwise with seed \(entry.first) now (hash "
                    + "\(hash), it was \(entry.hash)): the program has changed. Name another "
                    + "file to begin anew"
            )
        }
    }

    /// Counts what was done before, if this build does the same.
    private func take(over journal: SweepJournal) throws {
        var compared: Set<Int> = []
        var changed: Set<Int> = []
        for entry in journal.entries {
            // Other scenarios, seeds or options: of another sweep, which may go on, too.
            guard let index = files.firstIndex(where: { $0.path == entry.path }),
                entry.options == options, entry.first >= seeds.first,
                (entry.first - seeds.first) % SweepJournal.blockSize == 0,
                entry.last == min(seeds.last, entry.first + SweepJournal.blockSize - 1)
            else { continue }
            guard entry.scenario == files[index].fingerprint else {
                if changed.insert(index).inserted {
                    Output.writeError(
                        "\(journal.path): \(entry.path) has changed since: its runs are made anew"
                    )
                }
                continue
            }
            if compared.insert(index).inserted {
                try check(entry, against: files[index], of: journal)
            }
            let block = Block(file: index, first: entry.first, last: entry.last)
            state.withLock { state in
                guard state.kept.insert(block).inserted else { return }
                state.summaries[index].add(entry.summary)
                state.doneCount += entry.summary.runCount
                state.keptCount += entry.summary.runCount
                state.failureCount += entry.summary.failureCount
            }
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
                seconds: ((state.end ?? .now) - start).inSeconds
                    + (journal?.secondsBefore ?? 0),
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
        let rate = Double(done - sweep.keptCount) / seconds
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
