extension Fault {
    /// The links that it closes while it lasts; nodes that no side names are a side of their own.
    package func closedLinks(nodeCount: Int) -> [(from: Int, to: Int)] {
        let nodes = 0..<nodeCount
        var closed: [(Int, Int)] = []
        switch self {
        case .oneWay(let from, let to):
            for source in from { for target in to { closed.append((source, target)) } }
        case .partition(let sides):
            for source in nodes {
                for target in nodes
                where Self.side(of: source, sides) != Self.side(of: target, sides) {
                    closed.append((source, target))
                }
            }
        case .bridge(let sides, let middle):
            for source in nodes where source != middle {
                for target in nodes
                where target != middle
                    && Self.side(of: source, sides) != Self.side(of: target, sides)
                {
                    closed.append((source, target))
                }
            }
        case .isolation(let isolated):
            for source in isolated {
                for target in isolated where target != source { closed.append((source, target)) }
            }
        // All others leave every link open.
        default: break
        }
        return closed
    }

    private static func side(of node: Int, _ sides: [[Int]]) -> Int {
        sides.firstIndex { $0.contains(node) } ?? -1
    }
}
