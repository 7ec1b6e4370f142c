import Primitives

/// Makes a failing run small: the fewest faults, nodes and troubles that still break the same
/// property (delta debugging: Zeller, Hildebrandt, TSE 2002).
///
/// It works because the fate of a link's n-th packet follows from the seed, the link and n alone:
/// what is left out changes nothing else by itself.
package struct Shrinker {
    /// What came of it.
    package struct Outcome: Sendable {
        package var scenario: Scenario
        package var violation: Violation
        package var runCount: Int
        package var faultsBefore: Int
        package var faultsAfter: Int { scenario.faults.count }
        /// False if the caller stopped it before nothing more could be left out.
        package var isMinimal: Bool
    }

    private let seed: UInt64
    private let mayContinue: () -> Bool
    private let isMeant: (Scenario) -> Bool
    private let tell: (_ runCount: Int, _ faultCount: Int) -> Void
    private let original: Scenario
    private let originalViolation: Violation
    private var best: Scenario
    private var violation: Violation
    private var runCount = 0
    private var isStopped = false

    /// - Parameters:
    ///   - mayContinue: asked before each run; time and runs are the caller's to limit.
    ///   - accepts: whether a smaller scenario that breaks the same property still shows what is
    ///     looked for.
    ///   - tell: how far it is.
    /// - Returns: nil if the seed breaks nothing.
    package static func shrink(
        _ scenario: Scenario,
        seed: UInt64,
        mayContinue: @escaping () -> Bool = { true },
        accepts: @escaping (Scenario) -> Bool = { _ in true },
        tell: @escaping (_ runCount: Int, _ faultCount: Int) -> Void = { _, _ in }
    ) -> Outcome? {
        var drawn = scenario.drawingSwarm(seed: seed)
        drawn.seed = seed
        guard let violation = Simulation(scenario: drawn, seed: seed).run().violation else {
            return nil
        }
        var shrinker = Shrinker(
            seed: seed,
            mayContinue: mayContinue,
            isMeant: accepts,
            tell: tell,
            original: drawn,
            originalViolation: violation,
            best: drawn,
            violation: violation,
            runCount: 1
        )
        shrinker.shrink()
        return Outcome(
            scenario: shrinker.best,
            violation: shrinker.violation,
            runCount: shrinker.runCount,
            faultsBefore: drawn.faults.count,
            isMinimal: !shrinker.isStopped
        )
    }

    private mutating func shrink() {
        dropLater()
        keepLast()
        var before: Scenario
        repeat {
            before = best
            leaveOutFaults()
            leaveOutTroubles()
            leaveOutNodes()
            simplifyFaults()
        } while best != before && !isStopped
        startAgain()
        shorten()
    }

    /// Fewest of all is not what leaving out one by one leads to: other orders may end lower.
    private mutating func startAgain() {
        guard !isStopped, best.faults.count > Self.fewFaults else { return }
        var draws = SeededGenerator(seed: seed)
        for _ in 0..<Self.restartLimit where best.faults.count > Self.fewFaults && !isStopped {
            let found = (best, violation)
            best = original
            violation = originalViolation
            dropLater()
            leaveOutFaults(in: &draws)
            if best.faults.count >= found.0.faults.count {
                (best, violation) = found
            } else {
                leaveOutFaults()
                leaveOutTroubles()
                leaveOutNodes()
                simplifyFaults()
            }
        }
    }

    private static let fewFaults = 3
    private static let restartLimit = 20

    /// A quarter of those that are left, in an order of chance, then one by one.
    private mutating func leaveOutFaults(in draws: inout SeededGenerator) {
        var size = max(1, best.faults.count / 4)
        while !isStopped {
            var order = Array(best.faults.indices)
            draws.shuffle(&order)
            var kept = Set(order)
            let faults = best.faults
            while !order.isEmpty, !isStopped {
                let chunk = order.suffix(size)
                order.removeLast(chunk.count)
                let fewer = kept.subtracting(chunk)
                if tries({ $0.faults = faults.indices.filter(fewer.contains).map { faults[$0] } }) {
                    kept = fewer
                }
            }
            guard size > 1 else { return }
            size = 1
        }
    }

    /// Whether the candidate breaks the same property; if so it is the best so far.
    private mutating func accepts(_ candidate: Scenario) -> Bool {
        guard !isStopped, candidate != best, candidate.isSound else { return false }
        guard mayContinue() else {
            isStopped = true
            return false
        }
        runCount += 1
        let found = Simulation(scenario: judged(candidate), seed: seed).run().violation
        guard let found, found.invariant == violation.invariant, isMeant(judged(candidate)) else {
            return false
        }
        best = candidate
        violation = found
        tell(runCount, best.faults.count)
        return true
    }

    /// What breaks safety is seen at once, and not much later than before; what comes after that
    /// need not be waited for.
    private func judged(_ candidate: Scenario) -> Scenario {
        guard violation.isOfSafety else { return candidate }
        var candidate = candidate
        let end = violation.at + violation.at.scaled(by: 0.25) + .seconds(5)
        candidate.duration = min(candidate.duration, end)
        return candidate
    }

    @discardableResult
    private mutating func tries(_ change: (inout Scenario) -> Void) -> Bool {
        var candidate = best
        change(&candidate)
        return accepts(candidate)
    }

    // MARK: - Leaving out

    /// What happens after the violation did not cause it.
    private mutating func dropLater() {
        let moment = violation.at
        tries { $0.faults.removeAll { $0.at > moment } }
    }

    /// The last few are often enough.
    private mutating func keepLast() {
        for count in [1, 2, 4, 8] where count < best.faults.count && !isStopped {
            let last = best.faults.suffix(count)
            if tries({ $0.faults = Array(last) }) { return }
        }
    }

    /// Half of the faults, a quarter, …, one by one, until none can be spared.
    private mutating func leaveOutFaults() {
        tries { $0.faults = [] }
        var size = max(1, best.faults.count / 2)
        while !isStopped, !best.faults.isEmpty {
            var start = 0
            var hasShrunk = false
            while start < best.faults.count, !isStopped {
                let end = min(best.faults.count, start + size)
                if tries({ $0.faults.removeSubrange(start..<end) }) {
                    hasShrunk = true
                } else {
                    start = end
                }
            }
            if size > 1 {
                size /= 2
            } else if !hasShrunk {
                break
            }
        }
        leaveOutPairs()
    }

    /// Two that undo each other, such as a fault that hides what the other one breaks.
    private mutating func leaveOutPairs() {
        guard best.faults.count <= Self.pairLimit else { return }
        var second = 1
        while second < best.faults.count, !isStopped {
            let pairs = (0..<second).map { ($0, second) }
            let isShrunk = pairs.contains { first, second in
                tries { scenario in
                    scenario.faults.remove(at: second)
                    scenario.faults.remove(at: first)
                }
            }
            if !isShrunk { second += 1 }
        }
    }

    private static let pairLimit = 6

    private mutating func leaveOutTroubles() {
        tries { $0.network = LinkSettings() }
        tries { $0.network.loss = 0 }
        tries { $0.network.duplicate = 0 }
        tries { $0.network.reorder = 0 }
        tries { $0.network.corrupt = 0 }
        tries {
            $0.model = nil
            $0.expectations.removeAll(where: \.isAboutModels)
        }
        tries { $0.model?.requestEvery = nil }
    }

    private mutating func leaveOutNodes() {
        var count = 1
        while count < best.nodeCount, !isStopped {
            if let candidate = best.restricted(toNodes: count), accepts(candidate) { return }
            // Few nodes are the most telling; beyond eight, halves.
            count = count < 8 ? count + 1 : count * 2
        }
    }

    // MARK: - Making simpler

    private mutating func simplifyFaults() {
        for index in best.faults.indices {
            for simpler in best.faults[index].fault.simpler {
                guard !isStopped else { return }
                tries { $0.faults[index].fault = simpler }
            }
            tries { $0.faults[index].at = $0.faults[index].at.wholeSeconds }
            tries { scenario in
                scenario.faults[index].lasts = scenario.faults[index].lasts?.wholeSeconds
            }
        }
        best.faults.sort { $0.at < $1.at }
    }

    /// The run need not go on after the violation; liveness must be judged within it.
    private mutating func shorten() {
        let end = best.faults.map { $0.at + ($0.lasts ?? .zero) }.max() ?? .zero
        tries { scenario in
            scenario.liveness.at = end
            scenario.duration = scenario.liveness.end + .seconds(5)
        }
        let moment = violation.at
        tries { scenario in
            scenario.duration = max(scenario.liveness.end, moment + .seconds(1))
        }
    }
}

extension Scenario {
    /// Whether a file with it would be read.
    fileprivate var isSound: Bool {
        duration >= liveness.end && nodeCount > 0 && !seeds.isEmpty
    }

    /// The same with the first nodes only; nil if nothing of a fault is left.
    fileprivate func restricted(toNodes count: Int) -> Scenario? {
        var scenario = self
        scenario.nodeCount = count
        scenario.seeds = seeds.filter { $0 < count }
        if scenario.seeds.isEmpty { scenario.seeds = [0] }
        scenario.model?.holders.removeAll { $0 >= count }
        scenario.liveness.core?.removeAll { $0 >= count }
        scenario.faults = []
        for entry in faults {
            var entry = entry
            guard let fault = entry.fault.restricted(toNodes: count) else { return nil }
            entry.fault = fault
            scenario.faults.append(entry)
        }
        return scenario
    }
}

extension Duration {
    fileprivate var wholeSeconds: Duration {
        .seconds((wholeMilliseconds + 500) / 1000)
    }
}
