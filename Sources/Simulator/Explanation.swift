import Primitives

/// From which moment a failure was likely.
///
/// The run is repeated up to a moment, and what is left to chance after it (which packets are
/// lost and how late they are, who comes first, faults' draws excepted) is drawn anew, several
/// times. Where the share of failures rises, something decided.
package struct Explanation: Sendable {
    package struct Point: Sendable, Equatable {
        package var at: Duration
        /// How many of the continuations broke the same property.
        package var failureCount: Int
        package var runCount: Int

        package var share: Double { Double(failureCount) / Double(max(1, runCount)) }
    }

    package var violation: Violation
    /// Sorted by time.
    package var points: [Point]
    /// Between these two the share rises most; nil if it never does.
    package var jump: (from: Point, to: Point)?

    /// - Parameters:
    ///   - continuationCount: how many continuations are run from each moment.
    ///   - mayContinue: asked before each run.
    /// - Returns: nil if the seed breaks nothing.
    package static func explain(
        _ scenario: Scenario,
        seed: UInt64,
        continuationCount: Int = 20,
        mayContinue: () -> Bool = { true }
    ) -> Explanation? {
        let drawn = scenario.drawingSwarm(seed: seed)
        guard let violation = Simulation(scenario: drawn, seed: seed).run().violation else {
            return nil
        }
        var points: [Point] = []
        func measure(_ moment: Duration) -> Bool {
            guard !points.contains(where: { $0.at == moment }) else { return true }
            var point = Point(at: moment, failureCount: 0, runCount: 0)
            for salt in 1...UInt64(max(1, continuationCount)) {
                guard mayContinue() else { break }
                let found = Simulation(
                    scenario: drawn,
                    seed: seed,
                    redraw: Redraw(at: moment, salt: salt)
                ).run().violation
                point.runCount += 1
                if found?.invariant == violation.invariant { point.failureCount += 1 }
            }
            guard point.runCount > 0 else { return false }
            points.append(point)
            points.sort { $0.at < $1.at }
            return true
        }
        for step in 0...coarseSteps {
            let moment = violation.at.scaled(by: Double(step) / Double(coarseSteps))
            guard measure(.milliseconds(moment.wholeMilliseconds)) else { break }
        }
        // Then between the two with the steepest rise, again and again.
        for _ in 0..<fineSteps {
            guard let jump = steepest(points), jump.to.at - jump.from.at > .milliseconds(20) else {
                break
            }
            let middle = jump.from.at + (jump.to.at - jump.from.at).scaled(by: 0.5)
            guard measure(.milliseconds(middle.wholeMilliseconds)) else { break }
        }
        return Explanation(violation: violation, points: points, jump: steepest(points))
    }

    private static let coarseSteps = 10
    private static let fineSteps = 8

    private static func steepest(_ points: [Point]) -> (from: Point, to: Point)? {
        let pairs = zip(points, points.dropFirst()).filter { $0.share < $1.share }
        guard let best = pairs.max(by: { $0.1.share - $0.0.share < $1.1.share - $1.0.share })
        else { return nil }
        return (from: best.0, to: best.1)
    }
}

/// From when on chance is drawn anew.
package struct Redraw: Sendable {
    package var at: Duration
    package var salt: UInt64

    package init(at: Duration, salt: UInt64) {
        self.at = at
        self.salt = salt
    }
}
