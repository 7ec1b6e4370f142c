import LayerPlacement
import Primitives

extension Scenario {
    private static let keys = [
        "name", "description", "nodes", "seed", "duration", "startWithin", "seeds", "network",
        "model", "faults", "swarm", "liveness", "policy", "expect",
        "bounds",
    ]

    /// Reads a scenario file; the first thing that is wrong with it is the error.
    package init(json bytes: [UInt8]) throws(ScenarioError) {
        var fields = try ScenarioFields(JSONSource.read(bytes), path: "", keys: Self.keys)
        name = try fields.demand("name", ScenarioValue.text)
        description = try fields.take("description", ScenarioValue.text)
        let count = try fields.demand("nodes", ScenarioValue.integer(in: 1...Self.nodeLimit))
        nodeCount = count
        let nodes = NodeNames(count: count)
        seed = try fields.take("seed", ScenarioValue.seed) ?? 1
        network = try fields.take("network", LinkSettings.init) ?? LinkSettings()
        startWithin =
            try fields.take("startWithin", ScenarioValue.duration) ?? .milliseconds(500)
        seeds = try fields.take("seeds", nodes.set) ?? [0]
        model = try fields.take("model") { value, path throws(ScenarioError) in
            try ScenarioModel(value, path, nodes)
        }
        faults =
            try fields.take("faults") { value, path throws(ScenarioError) in
                try ScenarioValue.list(
                    of: { value, path throws(ScenarioError) in
                        try ScheduledFault(value, path, nodes)
                    },
                    value,
                    path
                )
            } ?? []
        swarm = try fields.take("swarm", Swarm.init)
        policy =
            try fields.take("policy", Self.policy) ?? .available
        expectations =
            try fields.take("expect") { value, path throws(ScenarioError) in
                try ScenarioValue.list(
                    of: ScenarioValue.choice(Expectation.self),
                    value,
                    path
                )
            } ?? (model == nil ? [.convergence] : [.convergence, .settled])
        bounds = try fields.take("bounds", QualityBounds.init)
        let durationValue = fields.take("duration")
        let livenessValue = fields.take("liveness")

        liveness = Liveness(at: .zero)
        duration = .zero
        liveness = try Liveness(livenessValue, nodes, defaultAt: lastChange)
        let end = liveness.end
        duration =
            try durationValue.map { value throws(ScenarioError) in
                try ScenarioValue.duration(value, "duration")
            } ?? (end + .seconds(5))
        guard duration >= end else {
            throw ScenarioError(
                "the run must last until liveness is judged: at least \(end.scenarioText)",
                at: durationValue?.position,
                keyPath: "duration"
            )
        }
        guard startWithin < duration else {
            throw ScenarioError(
                "the nodes must start before the run ends, after \(duration.scenarioText)",
                keyPath: "startWithin"
            )
        }
        guard model != nil || !expectations.contains(.ready) else {
            throw ScenarioError(
                "\"ready\" needs a \"model\" that somebody launches",
                keyPath: "expect"
            )
        }
        guard duration <= .scenarioLimit else {
            throw ScenarioError(
                "the run would last \(duration.scenarioText); at most "
                    + "\(Duration.scenarioLimit.scenarioText)",
                keyPath: "duration"
            )
        }
    }

    private static func policy(
        _ value: JSONValue,
        _ path: String
    ) throws(ScenarioError) -> ElectionPolicy {
        guard case .text(let name) = value.content, let policy = ElectionPolicy(named: name) else {
            throw ScenarioValue.mismatch("one of \"available\", \"quorum\"", value, path)
        }
        return policy
    }

    /// When the last thing happens that is not permanent.
    private var lastChange: Duration {
        var last = model?.launchAt ?? .zero
        for fault in faults { last = max(last, fault.at + (fault.lasts ?? .zero)) }
        return last
    }
}

/// Reads names of nodes.
struct NodeNames {
    let count: Int

    func one(_ value: JSONValue, _ path: String) throws(ScenarioError) -> Int {
        let text = try ScenarioValue.text(value, path)
        guard text.hasPrefix("n"), let number = Int(text.dropFirst()), 1...count ~= number,
            text == Scenario.name(of: number - 1)
        else {
            throw ScenarioError(
                "there is no node \"\(text.cut(toByteCount: 60))\"; the nodes are n1 to n\(count)",
                at: value.position,
                keyPath: path
            )
        }
        return number - 1
    }

    /// One name, `"*"`, or a list of names.
    func set(_ value: JSONValue, _ path: String) throws(ScenarioError) -> [Int] {
        switch value.content {
        case .text("*"): return Array(0..<count)
        case .array(let values):
            var nodes: [Int] = []
            for (index, value) in values.enumerated() {
                if case .text("*") = value.content { return Array(0..<count) }
                nodes.append(try one(value, "\(path)[\(index)]"))
            }
            return nodes
        case .text: return [try one(value, path)]
        case .object, .number, .flag, .null:
            throw ScenarioValue.mismatch("a node, a list of nodes or \"*\"", value, path)
        }
    }

    /// Groups that share no node.
    func sides(_ value: JSONValue, _ path: String) throws(ScenarioError) -> [[Int]] {
        let sides = try ScenarioValue.list(of: set, value, path)
        var seen: [Int] = []
        for side in sides {
            for node in side {
                guard !seen.contains(node) else {
                    throw ScenarioError(
                        "\(Scenario.name(of: node)) is on two sides",
                        at: value.position,
                        keyPath: path
                    )
                }
                seen.append(node)
            }
        }
        return sides
    }
}

extension Liveness {
    fileprivate init(
        _ value: JSONValue?,
        _ nodes: NodeNames,
        defaultAt: Duration
    ) throws(ScenarioError) {
        at = defaultAt
        guard let value else { return }
        let keys = ["at", "within", "launchWithin", "hold", "core"]
        var fields = try ScenarioFields(value, path: "liveness", keys: keys)
        at = try fields.take("at", ScenarioValue.duration) ?? defaultAt
        within = try fields.take("within", ScenarioValue.duration) ?? Self.defaultWithin
        launchWithin = try fields.take("launchWithin", ScenarioValue.duration)
        hold = try fields.take("hold", ScenarioValue.duration)
        core = try fields.take("core", nodes.set)
    }
}

extension ScenarioModel {
    private static let keys = [
        "name", "context", "holders", "launchAt", "loadTime", "requestEvery",
    ]

    fileprivate init(
        _ value: JSONValue,
        _ path: String,
        _ nodes: NodeNames
    ) throws(ScenarioError) {
        var fields = try ScenarioFields(value, path: path, keys: Self.keys)
        let context = try fields.take("context", ScenarioValue.integer(in: 1...(1 << 20)))
        wanted = WantedModel(
            name: try fields.take("name", ScenarioValue.text) ?? "tiny.gguf",
            context: context.map(UInt32.init(clamping:)) ?? WantedModel.defaultContext
        )
        holders = try fields.take("holders", nodes.set) ?? Array(0..<nodes.count)
        launchAt = try fields.take("launchAt", ScenarioValue.duration) ?? .seconds(5)
        loadTime = try fields.take("loadTime", ScenarioValue.duration) ?? .seconds(3)
        requestEvery = try fields.take("requestEvery", ScenarioValue.duration)
    }
}

extension LinkSettings {
    fileprivate init(_ value: JSONValue, _ path: String) throws(ScenarioError) {
        var fields = try ScenarioFields(value, path: path, keys: LinkChange.keys)
        let change = try LinkChange(&fields)
        self.init()
        apply(change)
    }

    mutating func apply(_ change: LinkChange) {
        latency = change.latency ?? latency
        loss = change.loss ?? loss
        duplicate = change.duplicate ?? duplicate
        reorder = change.reorder ?? reorder
        corrupt = change.corrupt ?? corrupt
        capacity = change.capacity ?? capacity
    }
}

extension LinkChange {
    static let keys = ["latency", "loss", "duplicate", "reorder", "corrupt", "capacity"]

    init(_ fields: inout ScenarioFields) throws(ScenarioError) {
        latency = try fields.take("latency", LinkSettings.Latency.init)
        loss = try fields.take("loss", ScenarioValue.share)
        duplicate = try fields.take("duplicate", ScenarioValue.share)
        reorder = try fields.take("reorder", ScenarioValue.share)
        corrupt = try fields.take("corrupt", ScenarioValue.share)
        capacity = try fields.take("capacity", ScenarioValue.integer(in: 1...1_000_000_000_000))
    }
}

extension LinkSettings.Latency {
    /// `"8ms"` is constant; an object tells more.
    fileprivate init(_ value: JSONValue, _ path: String) throws(ScenarioError) {
        if case .text = value.content {
            mean = try ScenarioValue.duration(value, path)
            minimum = mean
            distribution = .constant
            return
        }
        var fields = try ScenarioFields(value, path: path, keys: ["min", "mean", "distribution"])
        minimum = try fields.take("min", ScenarioValue.duration) ?? .milliseconds(1)
        mean = try fields.take("mean", ScenarioValue.duration) ?? .milliseconds(5)
        distribution =
            try fields.take(
                "distribution",
                ScenarioValue.choice(LinkSettings.Distribution.self)
            ) ?? .exponential
        guard minimum <= mean else {
            throw ScenarioError(
                "\"min\" must not be above \"mean\"",
                at: value.position,
                keyPath: path
            )
        }
    }
}

extension Swarm {
    fileprivate init(_ value: JSONValue, _ path: String) throws(ScenarioError) {
        var fields = try ScenarioFields(
            value,
            path: path,
            keys: ["lasts"] + Kind.allCases.map(\.rawValue)
        )
        rates = []
        for kind in Kind.allCases {
            if let range = try fields.take(kind.rawValue, Self.range) {
                rates.append((kind, range))
            }
        }
        if let range = try fields.take("lasts", Self.durations) { lasts = range }
    }

    private static func range(
        _ value: JSONValue,
        _ path: String
    ) throws(ScenarioError) -> ClosedRange<Double> {
        let bounds = try ScenarioValue.list(
            of: ScenarioValue.number(in: 0...10),
            value,
            path
        )
        guard bounds.count == 2, bounds[0] <= bounds[1] else {
            throw ScenarioValue.mismatch(
                "two numbers of faults a second, the smaller first",
                value,
                path
            )
        }
        return bounds[0]...bounds[1]
    }

    private static func durations(
        _ value: JSONValue,
        _ path: String
    ) throws(ScenarioError) -> ClosedRange<Duration> {
        let bounds = try ScenarioValue.list(of: ScenarioValue.duration, value, path)
        guard bounds.count == 2, bounds[0] <= bounds[1] else {
            throw ScenarioValue.mismatch("two durations, the shorter first", value, path)
        }
        return bounds[0]...bounds[1]
    }
}
