import Primitives

// Smaller faults of the same kind, for the shrinker.
extension Fault {
    /// The fault without the nodes from `count` on; nil if nothing is left of it.
    func restricted(toNodes count: Int) -> Fault? {
        replacingNodes { nodes in nodes.filter { $0 < count } }
    }

    /// Faults that strike one node less, or less hard.
    var simpler: [Fault] {
        var faults: [Fault] = []
        for node in nodes {
            if let fault = replacingNodes({ nodes in nodes.filter { $0 != node } }),
                fault != self, !faults.contains(fault)
            {
                faults.append(fault)
            }
        }
        if case .crash(let nodes, let disk, let power) = self {
            if disk != .kept { faults.insert(.crash(nodes, disk: .kept, power: power), at: 0) }
            if power { faults.insert(.crash(nodes, disk: disk, power: false), at: 0) }
        }
        return faults
    }

    /// Nil if a set that must not be empty is.
    private func replacingNodes(_ change: ([Int]) -> [Int]) -> Fault? {
        func kept(_ nodes: [Int]) -> [Int]? {
            let nodes = change(nodes)
            return nodes.isEmpty ? nil : nodes
        }
        func sides(_ sides: [[Int]]) -> [[Int]]? {
            let left = sides.compactMap(kept)
            return left.isEmpty ? nil : left
        }
        func between(_ from: [Int], _ to: [Int], _ make: ([Int], [Int]) -> Fault) -> Fault? {
            guard let from = kept(from), let to = kept(to) else { return nil }
            return make(from, to)
        }
        switch self {
        case .partition(let old): return sides(old).map { .partition($0) }
        case .bridge(let old, let middle):
            guard let new = sides(old), new.count > 1, kept([middle]) != nil else { return nil }
            return .bridge(new, over: middle)
        case .oneWay(let from, let to):
            return between(from, to) { .oneWay(from: $0, to: $1) }
        case .link(let from, let to, let settings):
            return between(from, to) { .link(from: $0, to: $1, settings) }
        case .jam(let from, let to): return between(from, to) { .jam(from: $0, to: $1) }
        case .reset(let from, let to): return between(from, to) { .reset(from: $0, to: $1) }
        case .crash(let nodes, let disk, let power):
            return kept(nodes).map { .crash($0, disk: disk, power: power) }
        case .stall(let nodes): return kept(nodes).map { .stall($0) }
        case .drift(let nodes, let rate): return kept(nodes).map { .drift($0, rate: rate) }
        case .rpcServer(let nodes, let does): return kept(nodes).map { .rpcServer($0, does) }
        case .isolation(let nodes): return kept(nodes).map { .isolation($0) }
        case .slow(let nodes, let factor): return kept(nodes).map { .slow($0, factor: factor) }
        case .jump(let nodes, let by): return kept(nodes).map { .jump($0, by: by) }
        case .disk(let nodes, let does): return kept(nodes).map { .disk($0, does) }
        case .join(let nodes): return kept(nodes).map { .join($0) }
        case .llamaServer(let nodes, let does): return kept(nodes).map { .llamaServer($0, does) }
        case .transfer(let target): return kept([target]).map { .transfer(to: $0[0]) }
        case .leave(let nodes): return kept(nodes).map { .leave($0) }
        case .drain(let nodes): return kept(nodes).map { .drain($0) }
        }
    }
}
