import Primitives
import Simulator

/// What many runs came to; its size does not grow with their number, but for failures.
struct SweepSummary: Sendable, Codable {
    struct Failure: Sendable, Codable {
        let seed: UInt64
        let violation: Violation
    }

    /// So many failures of a scenario are told of.
    static let failureLimit = 5

    private(set) var runCount = 0
    private(set) var failureCount = 0
    /// The first ones found, and for each property one at least.
    private(set) var failures: [Failure] = []
    private(set) var records: [String: Int] = [:]
    private(set) var sentCount = 0
    private(set) var sentByteCount = 0
    private(set) var virtualTime: Duration = .zero
    private(set) var runningTime: Duration = .zero
    private(set) var masterlessTime: Duration = .zero
    private(set) var deathCount = 0
    private(set) var falseAccusationCount = 0
    private(set) var convergence = DurationHistogram()
    private(set) var detection = DurationHistogram()

    private static let keptLimit = 100

    mutating func add(_ result: SimulationResult) {
        runCount += 1
        if let violation = result.violation {
            failureCount += 1
            keep(Failure(seed: result.seed, violation: violation))
        }
        let statistics = result.statistics
        sentCount += statistics.sentCount
        sentByteCount += statistics.sentByteCount
        virtualTime += result.virtualTime
        runningTime += statistics.quality.runningTime
        masterlessTime += statistics.quality.masterlessTime
        deathCount += statistics.quality.deathCount
        falseAccusationCount += statistics.quality.falseAccusationCount
        if let converged = result.convergedAfter { convergence.add(converged) }
        for time in statistics.quality.detectionTimes { detection.add(time) }
        records.merge(statistics.records, uniquingKeysWith: +)
    }

    mutating func add(_ other: SweepSummary) {
        runCount += other.runCount
        failureCount += other.failureCount
        for failure in other.failures { keep(failure) }
        sentCount += other.sentCount
        sentByteCount += other.sentByteCount
        virtualTime += other.virtualTime
        runningTime += other.runningTime
        masterlessTime += other.masterlessTime
        deathCount += other.deathCount
        falseAccusationCount += other.falseAccusationCount
        convergence.add(other.convergence)
        detection.add(other.detection)
        records.merge(other.records, uniquingKeysWith: +)
    }

    private mutating func keep(_ failure: Failure) {
        let invariant = failure.violation.invariant
        if failures.count < Self.keptLimit
            || !failures.contains(where: { $0.violation.invariant == invariant })
        {
            failures.append(failure)
        }
    }

    var sorted: SweepSummary {
        var sorted = self
        sorted.failures.sort { $0.seed < $1.seed }
        return sorted
    }

    // MARK: - In words

    func line(for file: ScenarioFile) -> String {
        var line = "\(file.scenario.name): \(runCount) runs, \(failureCount) violations"
        if let last = convergence.maximum {
            line += ", all well after p50 \(convergence.percentile(50).shortText) s"
            line += ", p99 \(convergence.percentile(99).shortText) s, at most \(last.shortText) s"
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

    /// Per node and second, of agents that ran.
    var messageRate: Double { Double(sentCount) / max(1, runningTime.inSeconds) }
    var byteRate: Double { Double(sentByteCount) / max(1, runningTime.inSeconds) }
    var masterlessShare: Double {
        masterlessTime.inSeconds / max(1, runningTime.inSeconds)
    }

    var qualityLines: String {
        let messages = Double(Int(messageRate * 10)) / 10
        let share = Double(Int(masterlessShare * 1000)) / 10
        var text = "\(messages) messages and \(Int(byteRate)) bytes per node and second; "
        text += "no master for \(share) % of the time; "
        text += "\(deathCount) times declared dead, \(falseAccusationCount) of them a reachable "
        text += "living member"
        if let last = detection.maximum {
            text += "; deaths seen after p50 \(detection.percentile(50).shortText) s, p99 "
            text += "\(detection.percentile(99).shortText) s, at most \(last.shortText) s"
        }
        return text
    }

    var coverageLines: String {
        records.sorted { $0.key < $1.key }.map { "  \($0.key): \($0.value)" }
            .joined(separator: "\n")
    }
}

extension Duration {
    /// Seconds with at most three digits behind the point.
    fileprivate var shortText: String { "\(Double(wholeMilliseconds) / 1000)" }
}

/// How often durations fell into buckets that each are a twentieth wider than the one before.
struct DurationHistogram: Sendable, Codable {
    private var counts: [Int: Int] = [:]
    private(set) var count = 0
    private(set) var maximum: Duration?

    /// Upper bounds in milliseconds.
    private static let bounds: [Double] = {
        var bounds = [1.0]
        while let last = bounds.last, last < 1e8 { bounds.append(last * 1.05) }
        return bounds
    }()

    mutating func add(_ duration: Duration) {
        let milliseconds = duration.inSeconds * 1000
        let index = Self.bounds.firstIndex { $0 >= milliseconds } ?? Self.bounds.count - 1
        counts[index, default: 0] += 1
        count += 1
        maximum = max(maximum ?? duration, duration)
    }

    mutating func add(_ other: DurationHistogram) {
        counts.merge(other.counts, uniquingKeysWith: +)
        count += other.count
        if let last = other.maximum { maximum = max(maximum ?? last, last) }
    }

    /// Within 5 %, and never above the maximum.
    func percentile(_ percent: Int) -> Duration {
        var left = (count * percent + 99) / 100
        for index in counts.keys.sorted() {
            left -= counts[index] ?? 0
            if left <= 0 {
                let bound = Duration.milliseconds(Int(Self.bounds[index].rounded(.up)))
                return min(bound, maximum ?? bound)
            }
        }
        return maximum ?? .zero
    }
}
