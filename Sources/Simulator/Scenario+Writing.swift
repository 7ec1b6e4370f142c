import LayerPlacement
import Primitives

extension Scenario {
    /// The scenario as a file that reads as an equal scenario again, one fault a line.
    ///
    /// What has a default is written all the same: a failure that is kept must not change its
    /// meaning when a default does. Of a swarm the ranges are written; what a seed draws from them
    /// is `drawingSwarm(seed:).json`.
    package var json: String {
        var members = [ScenarioText.member("name", ScenarioText.quoted(name))]
        if let description {
            members.append(ScenarioText.member("description", ScenarioText.quoted(description)))
        }
        members += [
            ScenarioText.member("nodes", "\(nodeCount)"),
            // Beyond this a JSON number is not exact.
            ScenarioText.member("seed", seed < 1 << 53 ? "\(seed)" : "\"\(seed)\""),
            ScenarioText.member("duration", ScenarioText.quoted(duration)),
            ScenarioText.member("startWithin", ScenarioText.quoted(startWithin)),
            ScenarioText.member("seeds", nodes(seeds)),
            ScenarioText.member("policy", ScenarioText.quoted(policy.name)),
            ScenarioText.member("network", ScenarioText.object(network.asChange.members)),
        ]
        if let model { members.append(ScenarioText.member("model", text(of: model))) }
        if !faults.isEmpty {
            let lines = faults.map { "    " + text(of: $0) }.joined(separator: ",\n")
            members.append(ScenarioText.member("faults", "[\n\(lines)\n  ]"))
        }
        if let swarm { members.append(ScenarioText.member("swarm", swarm.text)) }
        members.append(ScenarioText.member("liveness", livenessText))
        let expected = expectations.map { ScenarioText.quoted($0.rawValue) }
        members.append(ScenarioText.member("expect", ScenarioText.list(expected)))
        if let bounds { members.append(ScenarioText.member("bounds", bounds.text)) }
        return "{\n  " + members.joined(separator: ",\n  ") + "\n}\n"
    }

    private var livenessText: String {
        var members = [
            ScenarioText.member("at", ScenarioText.quoted(liveness.at)),
            ScenarioText.member("within", ScenarioText.quoted(liveness.within)),
        ]
        if let limit = liveness.launchWithin {
            members.append(ScenarioText.member("launchWithin", ScenarioText.quoted(limit)))
        }
        if let hold = liveness.hold {
            members.append(ScenarioText.member("hold", ScenarioText.quoted(hold)))
        }
        if let core = liveness.core { members.append(ScenarioText.member("core", nodes(core))) }
        return ScenarioText.object(members)
    }

    private func text(of model: ScenarioModel) -> String {
        var members = [
            ScenarioText.member("name", ScenarioText.quoted(model.wanted.name)),
            ScenarioText.member("context", "\(model.wanted.context)"),
            ScenarioText.member("holders", nodes(model.holders)),
            ScenarioText.member("launchAt", ScenarioText.quoted(model.launchAt)),
            ScenarioText.member("loadTime", ScenarioText.quoted(model.loadTime)),
        ]
        if let interval = model.requestEvery {
            members.append(ScenarioText.member("requestEvery", ScenarioText.quoted(interval)))
        }
        return ScenarioText.object(members)
    }

    // MARK: - Nodes

    /// A set of nodes, all of them as `"*"`.
    func nodes(_ nodes: [Int]) -> String {
        guard nodes != Array(0..<nodeCount) else { return "\"*\"" }
        return names(nodes)
    }

    func names(_ nodes: [Int]) -> String {
        ScenarioText.list(nodes.map { ScenarioText.quoted(Self.name(of: $0)) })
    }

    /// A side that names all nodes is written out, too: a list of sides reads as one.
    func sides(_ sides: [[Int]]) -> String {
        ScenarioText.list(sides.map { names($0) })
    }
}

extension LinkSettings {
    fileprivate var asChange: LinkChange {
        LinkChange(
            latency: latency,
            loss: loss,
            duplicate: duplicate,
            reorder: reorder,
            corrupt: corrupt,
            capacity: capacity
        )
    }
}

extension LinkSettings.Latency {
    fileprivate var text: String {
        guard distribution != .constant || minimum != mean else {
            return ScenarioText.quoted(mean)
        }
        return ScenarioText.object([
            ScenarioText.member("min", ScenarioText.quoted(minimum)),
            ScenarioText.member("mean", ScenarioText.quoted(mean)),
            ScenarioText.member("distribution", ScenarioText.quoted(distribution.rawValue)),
        ])
    }
}

extension LinkChange {
    /// What it changes, and nothing else.
    var members: [String] {
        var members: [String] = []
        if let latency { members.append(ScenarioText.member("latency", latency.text)) }
        let shares = [
            ("loss", loss), ("duplicate", duplicate), ("reorder", reorder), ("corrupt", corrupt),
        ]
        for case (let name, let share?) in shares {
            members.append(ScenarioText.member(name, "\(share)"))
        }
        if let capacity { members.append(ScenarioText.member("capacity", "\(capacity)")) }
        return members
    }
}

extension Swarm {
    fileprivate var text: String {
        var members = [
            ScenarioText.member(
                "lasts",
                ScenarioText.list([
                    ScenarioText.quoted(lasts.lowerBound), ScenarioText.quoted(lasts.upperBound),
                ])
            )
        ]
        for (kind, range) in rates {
            let bounds = ["\(range.lowerBound)", "\(range.upperBound)"]
            members.append(ScenarioText.member(kind.rawValue, ScenarioText.list(bounds)))
        }
        return ScenarioText.object(members)
    }
}

/// The small parts of which the text of a scenario is put together.
enum ScenarioText {
    static func member(_ name: String, _ value: String) -> String { "\"\(name)\": \(value)" }

    static func object(_ members: [String]) -> String {
        "{" + members.joined(separator: ", ") + "}"
    }

    static func list(_ elements: [String]) -> String {
        "[" + elements.joined(separator: ", ") + "]"
    }

    static func quoted(_ duration: Duration) -> String { quoted(duration.scenarioText) }

    static func quoted(_ text: String) -> String {
        var quoted = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": quoted += "\\\""
            case "\\": quoted += "\\\\"
            case "\n": quoted += "\\n"
            case "\u{0}"..<" ":
                let digits = String(scalar.value, radix: 16)
                quoted += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: quoted.unicodeScalars.append(scalar)
            }
        }
        return quoted + "\""
    }
}
