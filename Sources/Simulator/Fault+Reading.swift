import Primitives

extension ScheduledFault {
    private static let kinds = [
        "partition", "oneWay", "bridge", "isolation", "link", "jam", "reset", "crash", "join",
        "stall", "slow", "drift", "jump", "disk", "rpcServer", "llamaServer",
        "transfer", "leave", "drain",
    ]

    init(_ value: JSONValue, _ path: String, _ nodes: NodeNames) throws(ScenarioError) {
        var fields = try ScenarioFields(value, path: path, keys: ["at", "for"] + Self.kinds)
        at = try fields.demand("at", ScenarioValue.duration)
        lasts = try fields.take("for", Self.length) ?? nil
        let named = fields.remaining.filter(Self.kinds.contains)
        guard named.count == 1, let kind = named.first else {
            throw ScenarioError(
                "expected exactly one of \(Self.kinds.joined(separator: ", "))",
                at: value.position,
                keyPath: path
            )
        }
        fault = try fields.demand(kind) { value, path throws(ScenarioError) in
            try Fault(kind, value, path, nodes)
        }
        if case .jam = fault, lasts == nil {
            throw ScenarioError(
                "a jam must end: \"for\" must be a duration",
                at: value.position,
                keyPath: path
            )
        }
    }

    private static func length(
        _ value: JSONValue,
        _ path: String
    ) throws(ScenarioError) -> Duration? {
        if case .text("permanent") = value.content { return nil }
        guard case .text(let text) = value.content,
            let duration = Duration(scenarioText: text)
        else {
            throw ScenarioValue.mismatch("a duration or \"permanent\"", value, path)
        }
        return duration
    }
}

extension Fault {
    fileprivate init(
        _ kind: String,
        _ value: JSONValue,
        _ path: String,
        _ nodes: NodeNames
    ) throws(ScenarioError) {
        var fields = try ScenarioFields(value, path: path, keys: Self.keys(of: kind))
        switch kind {
        case "partition": self = .partition(try fields.demand("sides", nodes.sides))
        case "oneWay":
            self = .oneWay(
                from: try fields.demand("from", nodes.set),
                to: try fields.demand("to", nodes.set)
            )
        case "bridge":
            self = .bridge(
                try fields.demand("sides", nodes.sides),
                over: try fields.demand("over", nodes.one)
            )
        case "crash":
            self = .crash(
                try fields.demand("node", nodes.set),
                disk: try fields.take("disk", ScenarioValue.choice(DiskFault.self)) ?? .kept,
                power: try fields.take("power", Self.flag) ?? false
            )
        case "stall": self = .stall(try fields.demand("node", nodes.set))
        case "drift":
            self = .drift(
                try fields.demand("node", nodes.set),
                rate: try fields.demand("rate", ScenarioValue.number(in: 0.1...10))
            )
        case "link":
            let from = try fields.demand("from", nodes.set)
            let to = try fields.demand("to", nodes.set)
            self = .link(from: from, to: to, try LinkChange(&fields))
        case "isolation": self = .isolation(try fields.demand("nodes", nodes.set))
        case "jam":
            self = .jam(
                from: try fields.demand("from", nodes.set),
                to: try fields.demand("to", nodes.set)
            )
        case "slow":
            self = .slow(
                try fields.demand("node", nodes.set),
                factor: try fields.demand("factor", ScenarioValue.number(in: 1...1000))
            )
        case "reset":
            self = .reset(
                from: try fields.demand("from", nodes.set),
                to: try fields.demand("to", nodes.set)
            )
        case "jump":
            self = .jump(
                try fields.demand("node", nodes.set),
                by: try fields.demand("by", Self.jump)
            )
        case "disk":
            self = .disk(
                try fields.demand("node", nodes.set),
                try fields.demand("does", ScenarioValue.choice(DiskTrouble.self))
            )
        case "join": self = .join(try fields.demand("node", nodes.set))
        case "transfer": self = .transfer(to: try fields.demand("to", nodes.one))
        case "leave": self = .leave(try fields.demand("node", nodes.set))
        case "drain": self = .drain(try fields.demand("node", nodes.set))
        case "llamaServer":
            self = .llamaServer(
                try fields.demand("node", nodes.set),
                try fields.demand("does", ScenarioValue.choice(LlamaServerFault.self))
            )
        default:
            self = .rpcServer(
                try fields.demand("node", nodes.set),
                try fields.demand("does", ScenarioValue.choice(RPCServerFault.self))
            )
        }
    }

    private static func keys(of kind: String) -> [String] {
        switch kind {
        case "partition": ["sides"]
        case "oneWay", "jam", "reset": ["from", "to"]
        case "bridge": ["sides", "over"]
        case "isolation": ["nodes"]
        case "transfer": ["to"]
        case "crash": ["node", "disk", "power"]
        case "drift": ["node", "rate"]
        case "slow": ["node", "factor"]
        case "jump": ["node", "by"]
        case "link": ["from", "to"] + LinkChange.keys
        case "disk", "rpcServer", "llamaServer": ["node", "does"]
        default: ["node"]
        }
    }

    /// A day at most: thousands of jumps must not take a clock beyond its range.
    private static func jump(_ value: JSONValue, _ path: String) throws(ScenarioError) -> Duration {
        let distance = try ScenarioValue.duration(value, path)
        guard distance <= .seconds(86_400) else {
            throw ScenarioValue.mismatch("at most \"24h\"", value, path)
        }
        return distance
    }

    private static func flag(_ value: JSONValue, _ path: String) throws(ScenarioError) -> Bool {
        guard case .flag(let flag) = value.content else {
            throw ScenarioValue.mismatch("true or false", value, path)
        }
        return flag
    }
}
