import Primitives

// Faults, streams and the end of a run as lines of a trace.
extension Simulation {
    func traceFault(_ fault: Fault, number: Int, begins: Bool) {
        guard trace.isWriting else { return }
        let caption = fault.caption(nodeCount: hosts.count)
        trace.line(
            .fault,
            now,
            from: nil,
            to: nil,
            "\(begins ? "begins" : "ends"): \(caption)",
            [
                .number("fault", UInt64(number)), .text("phase", begins ? "begins" : "ends"),
                .text("caption", caption), .nodes("nodes", fault.nodes),
            ]
        )
    }

    func traceStream(_ id: UInt64, of host: SimulatedHost, to peer: Endpoint, _ what: String) {
        let target = self.host(at: peer.address)
        trace.line(
            .stream,
            now,
            from: host.index,
            to: target?.index,
            "stream to \(target?.name ?? "\(peer)"), port \(peer.port): \(what)",
            [.number("stream", id), .text("what", what)]
        )
    }

    /// What was sent and not yet taken when the run ended.
    func traceEnd() {
        guard let writer = trace.writer else { return }
        for packet in writer.takeUnderWay() {
            traceLoss(packet, "still under way when the run ended")
        }
    }
}

extension Fault {
    /// What goes wrong, in plain words.
    package func caption(nodeCount: Int) -> String {
        switch self {
        case .partition(let sides):
            return Self.split(sides, nodeCount: nodeCount, suffix: "")
        case .bridge(let sides, let middle):
            let name = Scenario.name(of: middle)
            return Self.split(sides, nodeCount: nodeCount, suffix: ", except by way of \(name)")
        case .oneWay(let from, let to):
            return "\(Self.list(to, nodeCount)) cannot hear \(Self.list(from, nodeCount))"
        case .crash(let nodes, let disk, let power):
            let loss =
                switch disk {
                case .kept: ""
                case .torn: ", and leaves a torn record on the disk"
                case .lost: ", and the disk is lost"
                }
            return Self.list(nodes, nodeCount) + (power ? " without power" : " crashed") + loss
        case .stall(let nodes):
            return "\(Self.list(nodes, nodeCount)) stands still, as after SIGSTOP"
        case .drift(let nodes, let rate):
            return "the clock of \(Self.list(nodes, nodeCount)) runs \(rate) times as fast"
        case .link(let from, let to, let change):
            return "\(change.words) from \(Self.list(from, nodeCount)) to "
                + Self.list(to, nodeCount)
        case .rpcServer(let nodes, let does):
            let verb =
                switch does {
                case .die: "dies"
                case .hang: "hangs"
                case .refuse: "has no memory"
                case .otherVersion: "speaks another version"
                }
            return "the rpc-server of \(Self.list(nodes, nodeCount)) \(verb)"
        case .isolation(let nodes):
            return "\(Self.list(nodes, nodeCount)) cannot hear each other"
        case .jam(let from, let to):
            return "what \(Self.list(from, nodeCount)) sends to \(Self.list(to, nodeCount)) waits"
        case .slow(let nodes, let factor):
            return "what \(Self.list(nodes, nodeCount)) sends takes \(factor) times as long"
        case .reset(let from, let to):
            return "the streams between \(Self.list(from, nodeCount)) and "
                + "\(Self.list(to, nodeCount)) are reset"
        case .jump(let nodes, let by):
            return "the clock of \(Self.list(nodes, nodeCount)) jumps ahead by \(by.scenarioText)"
        case .disk(let nodes, .full):
            return "the disk of \(Self.list(nodes, nodeCount)) is full"
        case .join(let nodes):
            return "\(Self.list(nodes, nodeCount)) switched on"
        case .llamaServer(let nodes, let does):
            let verb =
                switch does {
                case .abort: "aborts"
                case .hang: "hangs"
                case .neverReady: "never becomes ready"
                }
            return "the llama-server of \(Self.list(nodes, nodeCount)) \(verb)"
        case .transfer(let target):
            return "mastership shall go to \(Scenario.name(of: target))"
        case .leave(let nodes): return "\(Self.list(nodes, nodeCount)) asked to leave"
        case .drain(let nodes): return "\(Self.list(nodes, nodeCount)) asked to take no work"
        }
    }

    /// Whom it strikes directly; for a partition, those that a side names.
    var nodes: [Int] {
        let nodes: [Int] =
            switch self {
            case .partition(let sides), .bridge(let sides, _): sides.flatMap(\.self)
            case .oneWay(let from, let to), .link(let from, let to, _), .jam(let from, let to),
                .reset(let from, let to):
                from + to.filter { !from.contains($0) }
            case .crash(let nodes, _, _), .stall(let nodes), .drift(let nodes, _),
                .rpcServer(let nodes, _), .isolation(let nodes), .slow(let nodes, _),
                .jump(let nodes, _), .disk(let nodes, _), .join(let nodes),
                .llamaServer(let nodes, _), .leave(let nodes), .drain(let nodes):
                nodes
            case .transfer(let target): [target]
            }
        return nodes.sorted()
    }

    private static func split(_ sides: [[Int]], nodeCount: Int, suffix: String) -> String {
        let rest = (0..<nodeCount).filter { node in !sides.contains { $0.contains(node) } }
        var all = sides.filter { !$0.isEmpty }
        if !rest.isEmpty { all.append(rest) }
        guard let first = all.first else { return "nobody cut off" }
        let others = all.dropFirst().map { list($0, nodeCount) }
        guard !others.isEmpty else { return "nobody cut off" }
        return "\(list(first, nodeCount)) cut off from \(others.joined(separator: ", from "))"
            + (others.count > 1 ? ", and these from each other" : "") + suffix
    }

    /// `n1, n2 and n5`; long lists are shortened.
    static func list(_ nodes: [Int], _ nodeCount: Int) -> String {
        guard nodes.count < nodeCount || nodeCount == 1 else { return "all nodes" }
        let limit = 8
        guard nodes.count <= limit else {
            let first = nodes.prefix(limit - 2).map(Scenario.name).joined(separator: ", ")
            return "\(first) and \(nodes.count - limit + 2) more"
        }
        let names = nodes.map(Scenario.name)
        guard let last = names.last, names.count > 1 else { return names.first ?? "nobody" }
        return names.dropLast().joined(separator: ", ") + " and " + last
    }
}

extension LinkChange {
    fileprivate var words: String {
        var words: [String] = []
        if let latency { words.append("a latency of \(latency.mean.scenarioText)") }
        if let loss { words.append("\(Self.percent(loss)) loss") }
        if let duplicate { words.append("\(Self.percent(duplicate)) duplicates") }
        if let reorder { words.append("\(Self.percent(reorder)) out of order") }
        if let corrupt { words.append("\(Self.percent(corrupt)) cut short") }
        if let capacity { words.append("at most \(capacity) bytes a second") }
        return words.isEmpty ? "no change" : words.joined(separator: ", ")
    }

    private static func percent(_ share: Double) -> String {
        let thousandths = Int((share * 1000).rounded())
        return thousandths % 10 == 0 ? "\(thousandths / 10) %" : "\(Double(thousandths) / 10) %"
    }
}
