import FoundationEssentials
import Primitives
import Simulator

/// What CI systems read: a test case for each scenario.
enum JUnitReport {
    static func text(_ outcome: SweepOutcome, _ failures: [SweepFailures]) -> String {
        let failed = Set(failures.map(\.path))
        var lines = [
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>",
            "<testsuites name=\"caravan simulate sweep\" tests=\"\(outcome.summaries.count)\" "
                + "failures=\"\(failed.count)\" time=\"\(outcome.seconds)\">",
            "  <testsuite name=\"Simulations\" tests=\"\(outcome.summaries.count)\" "
                + "failures=\"\(failed.count)\">",
        ]
        for (file, summary) in outcome.summaries {
            let name = escaped(file.scenario.name)
            lines.append(
                "    <testcase classname=\"Simulations\" name=\"\(name)\" "
                    + "file=\"\(escaped(file.path))\">"
            )
            for failure in failures where failure.path == file.path {
                let message = escaped("\(failure.violation)")
                lines.append(
                    "      <failure type=\"\(escaped(failure.violation.invariant))\" "
                        + "message=\"\(message)\">\(escaped(failure.line))</failure>"
                )
            }
            lines.append("      <system-out>\(escaped(summary.line(for: file)))</system-out>")
            lines.append("    </testcase>")
        }
        lines += ["  </testsuite>", "</testsuites>"]
        return lines.joined(separator: "\n")
    }

    static func escaped(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            case "\n", "\t": result += " "
            // XML 1.0 has no other control characters, not even escaped ones.
            case "\u{0}"..<" ": result += "?"
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result
    }
}

/// The summary of a sweep for scripts.
enum SweepJSON {
    private struct Report: Encodable {
        let runs: Int
        let seconds: Double
        let violations: Int
        let messagesPerNodeAndSecond: Double
        let bytesPerNodeAndSecond: Double
        let shareWithoutMaster: Double
        let deaths: Int
        let falseAccusations: Int
        let detectionSeconds: [String: Double]
        let neverSeen: [String]
        let scenarios: [Scenario]
        let failures: [Failure]
    }

    private struct Scenario: Encodable {
        let name: String
        let path: String
        let runs: Int
        let violations: Int
    }

    private struct Failure: Encodable {
        let scenario: String
        let seed: UInt64
        let invariant: String
        let detail: String
        let repeating: String
        let shrunken: String?
        let commit: String
    }

    static func text(
        _ total: SweepSummary,
        _ outcome: SweepOutcome,
        _ failures: [SweepFailures],
        unseen: [String]
    ) -> String {
        let report = Report(
            runs: total.runCount,
            seconds: outcome.seconds,
            violations: total.failureCount,
            messagesPerNodeAndSecond: total.messageRate,
            bytesPerNodeAndSecond: total.byteRate,
            shareWithoutMaster: total.masterlessShare,
            deaths: total.deathCount,
            falseAccusations: total.falseAccusationCount,
            detectionSeconds: [
                "p50": total.detection.percentile(50).inSeconds,
                "p99": total.detection.percentile(99).inSeconds,
            ],
            neverSeen: unseen,
            scenarios: outcome.summaries.map { file, summary in
                Scenario(
                    name: file.scenario.name,
                    path: file.path,
                    runs: summary.runCount,
                    violations: summary.failureCount
                )
            },
            failures: failures.map {
                Failure(
                    scenario: $0.scenario,
                    seed: $0.seed,
                    invariant: $0.violation.invariant,
                    detail: $0.violation.detail,
                    repeating: $0.repeating,
                    shrunken: $0.shrunken,
                    commit: $0.commit
                )
            }
        )
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return (try? encoder.encode(report)).map { String(decoding: $0, as: UTF8.self) } ?? "{}"
    }
}
