import Primitives

extension Scenario {
    func text(of scheduled: ScheduledFault) -> String {
        let lasts = scheduled.lasts?.scenarioText ?? "permanent"
        let (kind, members) = parts(of: scheduled.fault)
        return ScenarioText.object([
            ScenarioText.member("at", ScenarioText.quoted(scheduled.at)),
            ScenarioText.member("for", ScenarioText.quoted(lasts)),
            ScenarioText.member(kind, ScenarioText.object(members)),
        ])
    }

    private func parts(of fault: Fault) -> (kind: String, members: [String]) {
        switch fault {
        case .partition(let sides):
            return ("partition", [ScenarioText.member("sides", self.sides(sides))])
        case .oneWay(let from, let to): return ("oneWay", link(from, to))
        case .bridge(let sides, let middle):
            let over = ScenarioText.quoted(Self.name(of: middle))
            return (
                "bridge",
                [
                    ScenarioText.member("sides", self.sides(sides)),
                    ScenarioText.member("over", over),
                ]
            )
        case .crash(let nodes, let disk, let power):
            return (
                "crash",
                [
                    node(nodes), ScenarioText.member("disk", ScenarioText.quoted(disk.rawValue)),
                    ScenarioText.member("power", "\(power)"),
                ]
            )
        case .stall(let nodes): return ("stall", [node(nodes)])
        case .drift(let nodes, let rate):
            return ("drift", [node(nodes), ScenarioText.member("rate", "\(rate)")])
        case .link(let from, let to, let change): return ("link", link(from, to) + change.members)
        case .rpcServer(let nodes, let does):
            return ("rpcServer", [node(nodes), self.does(does.rawValue)])
        case .isolation(let nodes):
            return ("isolation", [ScenarioText.member("nodes", self.nodes(nodes))])
        case .jam(let from, let to): return ("jam", link(from, to))
        case .slow(let nodes, let factor):
            return ("slow", [node(nodes), ScenarioText.member("factor", "\(factor)")])
        case .reset(let from, let to): return ("reset", link(from, to))
        case .jump(let nodes, let distance):
            let by = ScenarioText.member("by", ScenarioText.quoted(distance))
            return ("jump", [node(nodes), by])
        case .disk(let nodes, let does): return ("disk", [node(nodes), self.does(does.rawValue)])
        case .join(let nodes): return ("join", [node(nodes)])
        case .llamaServer(let nodes, let does):
            return ("llamaServer", [node(nodes), self.does(does.rawValue)])
        case .transfer(let target):
            let to = ScenarioText.quoted(Self.name(of: target))
            return ("transfer", [ScenarioText.member("to", to)])
        case .leave(let nodes): return ("leave", [node(nodes)])
        case .drain(let nodes): return ("drain", [node(nodes)])
        }
    }

    private func node(_ nodes: [Int]) -> String {
        ScenarioText.member("node", self.nodes(nodes))
    }

    private func link(_ from: [Int], _ to: [Int]) -> [String] {
        [ScenarioText.member("from", nodes(from)), ScenarioText.member("to", nodes(to))]
    }

    private func does(_ name: String) -> String {
        ScenarioText.member("does", ScenarioText.quoted(name))
    }
}
