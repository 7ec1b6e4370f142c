import FoundationEssentials
import Primitives

/// Results of benches in words and numbers, and as JSON.
enum BenchReport {
    private struct Whole: Codable {
        var agents: Int
        var rounds: Int
        var vanish: Bool
        var results: [BenchResult]
        /// Ours divided by theirs, medians.
        var ratios: [String: Double]
    }

    static func json(_ results: [BenchResult], _ plan: BenchPlan) -> String {
        encoded(
            Whole(
                agents: plan.agentCount,
                rounds: plan.rounds,
                vanish: plan.vanishes,
                results: results,
                ratios: Dictionary(
                    uniqueKeysWithValues: ratios(results).map { ($0.name, $0.value) }
                )
            )
        )
    }

    static func json(_ result: StallResult) -> String { encoded(result) }

    static func encoded(_ value: some Encodable) -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
        let data = (try? encoder.encode(value)) ?? Data()
        return String(decoding: data, as: UTF8.self)
    }

    static func text(_ results: [BenchResult], _ plan: BenchPlan) -> String {
        let event = plan.vanishes ? "a host's cable pulled" : "an agent killed with SIGKILL"
        var lines = ["\(plan.agentCount) agents, \(plan.rounds) times \(event)"]
        for result in results {
            lines.append("\(result.kind):")
            lines.append("  first to know    \(spread(result.firstSeconds))")
            lines.append("  all know         \(spread(result.lastSeconds))")
            lines.append("  back with all    \(spread(result.rejoinSeconds))")
            lines.append("  not noticed      \(result.missed)")
            lines.append("  falsely accused  \(result.falseAccusations.count)")
            lines += result.falseAccusations.prefix(10).map { "    \($0)" }
            if let bytes = result.bytesPerAgentAndSecond,
                let packets = result.packetsPerAgentAndSecond
            {
                lines.append(
                    "  traffic          \(fixed(bytes, 0)) B/s, \(fixed(packets, 2)) packets/s "
                        + "per agent, sent, with IP headers"
                )
            }
            if let cpu = result.cpuShare, let memory = result.anonymousKiB {
                lines.append("  CPU              \(fixed(cpu * 100, 2)) % of a core per agent")
                lines.append(
                    "  memory           \(fixed(memory / 1024, 1)) MiB anonymous per agent"
                )
            }
        }
        for ratio in ratios(results) {
            lines.append("caravan/serf \(ratio.name): \(fixed(ratio.value, 3))")
        }
        return lines.joined(separator: "\n")
    }

    static func text(_ result: StallResult) -> String {
        """
        \(result.agents) agents, \(result.stalled) of them stopped \(result.cycles) times for 16 s
          healthy taken for dead at healthy  \(result.healthyAccusedByHealthy.count)
          healthy taken for dead at stopped  \(result.healthyAccusedByStalled.count)
          stopped taken for dead             \(result.stalledAccusedCount)
        """ + result.healthyAccusedByHealthy.prefix(10).map { "\n    \($0)" }.joined()
    }

    private static func ratios(_ results: [BenchResult]) -> [(name: String, value: Double)] {
        guard let own = results.first, results.count > 1 else { return [] }
        let other = results[1]
        let pairs: [(String, Double?, Double?)] = [
            ("firstToKnow", median(own.firstSeconds), median(other.firstSeconds)),
            ("allKnow", median(own.lastSeconds), median(other.lastSeconds)),
            ("bytes", own.bytesPerAgentAndSecond, other.bytesPerAgentAndSecond),
            ("cpu", own.cpuShare, other.cpuShare),
            ("memory", own.anonymousKiB, other.anonymousKiB),
        ]
        return pairs.compactMap { name, own, other in
            guard let own, let other, other > 0 else { return nil }
            return (name, own / other)
        }
    }

    static func median(_ values: [Double]) -> Double? {
        guard !values.isEmpty else { return nil }
        let sorted = values.sorted()
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    private static func spread(_ values: [Double]) -> String {
        guard let middle = median(values), let low = values.min(), let high = values.max() else {
            return "never"
        }
        return "median \(fixed(middle, 3)) s, \(fixed(low, 3)) to \(fixed(high, 3)) s"
    }

    static func fixed(_ value: Double, _ digits: Int) -> String {
        let scale = (0..<digits).reduce(1.0) { scale, _ in scale * 10 }
        let whole = Int((value * scale).rounded())
        guard digits > 0 else { return "\(whole)" }
        let fraction = String(whole.magnitude % UInt(scale))
        let padded = String(repeating: "0", count: digits - fraction.count) + fraction
        return "\(whole < 0 ? "-" : "")\(whole.magnitude / UInt(scale)).\(padded)"
    }
}
