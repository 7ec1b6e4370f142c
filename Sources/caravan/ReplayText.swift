import FoundationEssentials
import Primitives
import Replay
import Simulator

/// What the simulator shows for the phases of a scenario, over several seeds.
struct PhaseComparison {
    /// How long something took in each run in which it came to be.
    struct Times {
        fileprivate(set) var sorted: [Duration] = []
        /// Runs in which it did not come to be.
        fileprivate(set) var missingCount = 0

        fileprivate mutating func add(_ time: Duration?) {
            guard let time else {
                missingCount += 1
                return
            }
            sorted.append(time)
            sorted.sort()
        }
    }

    private var wellness: [String: Times] = [:]
    private var steps: [String: Times] = [:]
    private(set) var runCount = 0

    init(_ scenario: Scenario, runCount: Int) {
        guard runCount > 0 else { return }
        self.runCount = runCount
        for seed in 1...UInt64(runCount) {
            let result = Simulation(scenario: scenario, seed: seed, recordsPhases: true).run()
            for phase in result.phases {
                for side in phase.sides {
                    wellness[phase.key + side.name, default: Times()].add(side.wellAfter)
                }
                for step in phase.stepDowns { steps[phase.key, default: Times()].add(step.after) }
            }
        }
    }

    func wellAfter(_ side: PhaseRecorder.Side, _ phase: PhaseRecorder.Phase) -> Times? {
        wellness[phase.key + side.name]
    }

    /// Of whoever was master: it need not be the same node.
    func stepDown(_ phase: PhaseRecorder.Phase) -> Times? { steps[phase.key] }
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
                        + Self.brackets(comparison.stepDown(phase))
                )
            }
            for side in phase.sides {
                lines.append("            " + wellness(side, phase, comparison))
            }
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
        _ side: PhaseRecorder.Side,
        _ phase: PhaseRecorder.Phase,
        _ comparison: PhaseComparison
    ) -> String {
        let simulated = Self.brackets(comparison.wellAfter(side, phase))
        guard let well = side.wellAfter else {
            let length = (phase.end ?? phase.at) - phase.at
            return "\(side.name): not of one mind within \(Self.seconds(length))" + simulated
        }
        let master = side.master.map { "\($0) is master" } ?? "well"
        return "\(side.name): \(master), one view, after \(Self.seconds(well))" + simulated
    }

    private static func title(_ phase: PhaseRecorder.Phase) -> String {
        guard phase.fault != nil else { return phase.caption }
        return (phase.begins ? "begins: " : "ends: ") + phase.caption
    }

    private static func brackets(_ times: PhaseComparison.Times?) -> String {
        guard let times else { return "" }
        guard let least = times.sorted.first, let most = times.sorted.last else {
            return " [never]"
        }
        let half = times.sorted[times.sorted.count / 2]
        let missing = times.missingCount > 0 ? ", \(times.missingCount) times never" : ""
        return " [\(seconds(least)) to \(seconds(most)), half by \(seconds(half))\(missing)]"
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
        var sides: [JSONSide]
        var stepDowns: [JSONStepDown]
        var longestWithoutMaster: Double
        var simulatedStepDowns: [Double]?
    }

    private struct JSONSide: Encodable {
        var nodes: [String]
        var master: String?
        var wellAfter: Double?
        var simulatedWellAfter: [Double]?
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
                sides: phase.sides.map { side in
                    JSONSide(
                        nodes: side.nodes,
                        master: side.master,
                        wellAfter: side.wellAfter?.inSeconds,
                        simulatedWellAfter: comparison.wellAfter(side, phase)?.sorted
                            .map(\.inSeconds)
                    )
                },
                stepDowns: phase.stepDowns.map {
                    JSONStepDown(node: $0.node, after: $0.after.inSeconds)
                },
                longestWithoutMaster: phase.longestMasterless.inSeconds,
                simulatedStepDowns: comparison.stepDown(phase)?.sorted.map(\.inSeconds)
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
