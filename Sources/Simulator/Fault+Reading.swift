import Primitives

extension ScheduledFault {
    private static let kinds = [
        "partition", "oneWay", "bridge", "crash", "stall", "drift", "link", "rpcServer",
    ]

    init(_ value: JSONValue, _ path: String, _ nodes: NodeNames) throws(ScenarioError) {
        var fields = try ScenarioFields(value, path: path)
        at = try fields.demand("at", ScenarioValue.duration)
        lasts = try fields.take("for", Self.length) ?? nil
        let named = fields.remaining.filter(Self.kinds.contains)
        guard named.count == 1, let kind = named.first else {
            for kind in Self.kinds { _ = fields.take(kind) }
            try fields.finish()
            throw ScenarioError(
                "expected exactly one of \(Self.kinds.joined(separator: ", "))",
                at: value.position,
                keyPath: path
            )
        }
        fault = try fields.demand(kind) { value, path throws(ScenarioError) in
            try Fault(kind, value, path, nodes)
        }
        try fields.finish()
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
        var fields = try ScenarioFields(value, path: path)
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
        default:
            self = .rpcServer(
                try fields.demand("node", nodes.set),
                try fields.demand("does", ScenarioValue.choice(RPCServerFault.self))
            )
        }
        try fields.finish()
    }

    private static func flag(_ value: JSONValue, _ path: String) throws(ScenarioError) -> Bool {
        guard case .flag(let flag) = value.content else {
            throw ScenarioValue.mismatch("true or false", value, path)
        }
        return flag
    }
}
