import Primitives

/// How well a run must go, beyond right and wrong; what is not bounded is nil.
///
/// Judged once, at the end, over all nodes together.
package struct QualityBounds: Equatable, Sendable {
    /// How often a reachable, running member may be declared dead.
    package var falseAccusations: Int?
    /// Within which time every death is known to everybody who learns of it.
    package var detection: Duration?
    /// How long nodes may be without a master, on average.
    package var masterless: Duration?
    /// Datagrams that a node sends a second, on average.
    package var messages: Double?
    /// Bytes of datagrams, without headers, that a node sends a second, on average.
    package var bytes: Double?

    package init() {}

    static let keys = ["falseAccusations", "detection", "masterless", "messages", "bytes"]

    init(_ value: JSONValue, _ path: String) throws(ScenarioError) {
        var fields = try ScenarioFields(value, path: path, keys: Self.keys)
        falseAccusations = try fields.take(
            "falseAccusations",
            ScenarioValue.integer(in: 0...1_000_000)
        )
        detection = try fields.take("detection", ScenarioValue.duration)
        masterless = try fields.take("masterless", ScenarioValue.duration)
        messages = try fields.take("messages", ScenarioValue.number(in: 0...1_000_000))
        bytes = try fields.take("bytes", ScenarioValue.number(in: 0...1_000_000_000))
    }

    var text: String {
        var members: [String] = []
        if let falseAccusations {
            members.append(ScenarioText.member("falseAccusations", "\(falseAccusations)"))
        }
        if let detection {
            members.append(ScenarioText.member("detection", ScenarioText.quoted(detection)))
        }
        if let masterless {
            members.append(ScenarioText.member("masterless", ScenarioText.quoted(masterless)))
        }
        if let messages { members.append(ScenarioText.member("messages", "\(messages)")) }
        if let bytes { members.append(ScenarioText.member("bytes", "\(bytes)")) }
        return ScenarioText.object(members)
    }

    /// What is out of bounds, in words; nil if nothing is.
    func excess(of statistics: SimulationStatistics, nodeCount: Int) -> String? {
        let figures = statistics.quality
        if let falseAccusations, figures.falseAccusationCount > falseAccusations {
            return "\(figures.falseAccusationCount) times a reachable living member was declared "
                + "dead; at most \(falseAccusations) are allowed"
        }
        if let detection, let slowest = figures.detectionTimes.max(), slowest > detection {
            return "a death was seen after \(slowest.scenarioText); at most "
                + "\(detection.scenarioText) is allowed"
        }
        let share = figures.masterlessTime / nodeCount
        if let masterless, share > masterless {
            return "nodes were without a master for \(share.scenarioText) on average; at most "
                + "\(masterless.scenarioText) is allowed"
        }
        let seconds = max(1, figures.runningTime.inSeconds)
        let messageRate = Double(statistics.sentCount) / seconds
        if let messages, messageRate > messages {
            return "\(messageRate) datagrams a node and second; at most \(messages) are allowed"
        }
        let byteRate = Double(statistics.sentByteCount) / seconds
        if let bytes, byteRate > bytes {
            return "\(byteRate) bytes a node and second; at most \(bytes) are allowed"
        }
        return nil
    }
}
