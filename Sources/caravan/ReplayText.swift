import FoundationEssentials
import Primitives
import Replay
import Simulator

/// What the simulator shows for the phases of a scenario, over several seeds.
struct PhaseComparison {
    struct Range {
        var least: Duration
        var median: Duration
        var most: Duration
        /// Runs in which it did not come to that.
        var missing: Int
    }

    private(set) var wellAfter: [String: Range] = [:]
    private(set) var stepDown: [String: Range] = [:]
    private(set) var runCount = 0

    init(_ scenario: Scenario, runCount: Int) {
        guard runCount > 0 else { return }
        var well: [String: [Duration?]] = [:]
        var steps: [String: [Duration]] = [:]
        for seed in 1...UInt64(runCount) {
            let result = Simulation(scenario: scenario, seed: seed, recordsPhases: true).run()
            for phase in result.phases {
                well[phase.key, default: []].append(phase.wellAfter)
                steps[phase.key, default: []] += phase.stepDowns.map(\.after)
            }
        }
        self.runCount = runCount
        wellAfter = well.compactMapValues(Self.range)
        stepDown = steps.compactMapValues(Self.range)
    }

    private static func range(_ values: [Duration?]) -> Range? {
        let sorted = values.compactMap(\.self).sorted()
        guard let least = sorted.first, let most = sorted.last else { return nil }
        return Range(
            least: least,
            median: sorted[sorted.count / 2],
            most: most,
            missing: values.count - sorted.count
        )
    }
}

/// A replay in words.
struct ReplayText {
    private let plan: ReplayPlan

    init(_ plan: ReplayPlan) {
        self.plan = plan
    }

    var beginning: String {
        var lines: [String] = []
        if let description = plan.scenario.description { lines.append(description) }
        lines.append("\(plan.scenario.nodeCount) agents in namespaces of their own; note that")
        lines += plan.notes.map { "- \($0)" }
        return lines.joined(separator: "\n") + "\n\n"
    }

    func line(_ time: Duration, _ text: String) -> String {
        "\(Self.seconds(time).leftPadded(to: 8))  \(text)\n"
    }

    func end(_ report: ReplayReport, _ comparison: PhaseComparison) -> String {
        var lines = [""]
        if comparison.runCount > 0 {
            lines.append("In brackets: the same in \(comparison.runCount) simulated runs.")
        }
        for phase in report.phases {
            lines.append(line(phase.at, Self.title(phase)).trimmed)
            for step in phase.stepDowns {
                lines.append(
                    "            \(step.node) stopped being master after "
                        + Self.seconds(step.after)
                        + Self.brackets(comparison.stepDown[phase.key])
                )
            }
            lines.append("            " + wellness(phase, comparison))
            if phase.longestMasterless > .zero {
                lines.append(
                    "            a node obeyed no master for at most "
                        + Self.seconds(phase.longestMasterless)
                )
            }
        }
        lines.append("")
        lines.append(
            "\(report.electionCount) masters in \(Self.seconds(report.duration)); none went on "
                + "without a majority within reach for longer than "
                + Self.seconds(report.longestWithoutMajority)
        )
        lines.append(report.violation == nil ? "All held." : "Not all held.")
        return lines.joined(separator: "\n") + "\n"
    }

    private func wellness(
        _ phase: PhaseRecorder.Phase,
        _ comparison: PhaseComparison
    ) -> String {
        let simulated = Self.brackets(comparison.wellAfter[phase.key])
        guard let well = phase.wellAfter else {
            let length = (phase.end ?? phase.at) - phase.at
            return "not well on all sides within its \(Self.seconds(length))" + simulated
        }
        let masters = phase.masters.joined(separator: ", ")
        return "one master and one view a side (\(masters)) after \(Self.seconds(well))"
            + simulated
    }

    private static func title(_ phase: PhaseRecorder.Phase) -> String {
        guard phase.fault != nil else { return phase.caption }
        return (phase.begins ? "begins: " : "ends: ") + phase.caption
    }

    private static func brackets(_ range: PhaseComparison.Range?) -> String {
        guard let range else { return "" }
        let missing = range.missing > 0 ? ", and \(range.missing) times not" : ""
        return " [\(seconds(range.least)) to \(seconds(range.most)), half by "
            + "\(seconds(range.median))\(missing)]"
    }

    private static func seconds(_ duration: Duration) -> String {
        let hundredths = (duration.wholeMilliseconds + 5) / 10
        let rest = hundredths % 100
        return "\(hundredths / 100).\(rest < 10 ? "0" : "")\(rest) s"
    }

    // MARK: - For scripts

    private struct JSONPhase: Encodable {
        var at: Double
        var fault: Int?
        var begins: Bool
        var caption: String
        var lasted: Double
        var wellAfter: Double?
        var masters: [String]
        var stepDowns: [JSONStepDown]
        var longestWithoutMaster: Double
        var simulatedWellAfter: [Double]?
        var simulatedStepDown: [Double]?
    }

    private struct JSONStepDown: Encodable {
        var node: String
        var after: Double
    }

    private struct JSONReport: Encodable {
        var scenario: String
        var nodes: Int
        var held: Bool
        var violation: String?
        var duration: Double
        var masters: Int
        var longestWithoutMajority: Double
        var phases: [JSONPhase]
        var notes: [String]
    }

    /// One line.
    func json(_ report: ReplayReport, _ comparison: PhaseComparison) throws -> String {
        let phases = report.phases.map { phase in
            JSONPhase(
                at: phase.at.inSeconds,
                fault: phase.fault.map { $0 + 1 },
                begins: phase.begins,
                caption: phase.caption,
                lasted: ((phase.end ?? phase.at) - phase.at).inSeconds,
                wellAfter: phase.wellAfter?.inSeconds,
                masters: phase.masters,
                stepDowns: phase.stepDowns.map {
                    JSONStepDown(node: $0.node, after: $0.after.inSeconds)
                },
                longestWithoutMaster: phase.longestMasterless.inSeconds,
                simulatedWellAfter: Self.numbers(comparison.wellAfter[phase.key]),
                simulatedStepDown: Self.numbers(comparison.stepDown[phase.key])
            )
        }
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        let bytes = try encoder.encode(
            JSONReport(
                scenario: report.scenario,
                nodes: report.nodeCount,
                held: report.violation == nil,
                violation: report.violation.map { "\($0)" },
                duration: report.duration.inSeconds,
                masters: report.electionCount,
                longestWithoutMajority: report.longestWithoutMajority.inSeconds,
                phases: phases,
                notes: report.notes
            )
        )
        return String(decoding: bytes, as: UTF8.self) + "\n"
    }

    /// Least, median, most.
    private static func numbers(_ range: PhaseComparison.Range?) -> [Double]? {
        range.map { [$0.least.inSeconds, $0.median.inSeconds, $0.most.inSeconds] }
    }
}

extension String {
    fileprivate func leftPadded(to width: Int) -> String {
        String(repeating: " ", count: max(0, width - count)) + self
    }

    fileprivate var trimmed: String {
        var text = self
        while text.last?.isWhitespace == true { text.removeLast() }
        return text
    }
}
