import Namespaces
import Simulator

/// What is wrong at the moment: the faults that have begun and not ended.
struct ReplayConditions {
    let scenario: Scenario
    /// In the order in which they began: a later one overrides an earlier one.
    private(set) var active: [Int] = []

    init(_ scenario: Scenario) {
        self.scenario = scenario
    }

    mutating func begin(_ fault: Int) { active.append(fault) }
    mutating func end(_ fault: Int) { active.removeAll { $0 == fault } }

    /// What the links let through now.
    var rules: LinkRules {
        var rules = LinkRules()
        let nodes = 0..<scenario.nodeCount
        for from in nodes {
            for to in nodes where from != to {
                let link = DirectedLink(from: from, to: to)
                rules.loss[link] = scenario.network.loss > 0 ? scenario.network.loss : nil
                rules.capacity[link] = scenario.network.capacity
            }
        }
        for number in active {
            let fault = scenario.faults[number].fault
            for (from, to) in fault.closedLinks(nodeCount: scenario.nodeCount) where from != to {
                rules.blocked.insert(DirectedLink(from: from, to: to))
            }
            guard case .link(let sources, let targets, let change) = fault else { continue }
            for from in sources {
                for to in targets where from != to {
                    let link = DirectedLink(from: from, to: to)
                    rules.loss[link] = change.loss ?? rules.loss[link]
                    rules.capacity[link] = change.capacity ?? rules.capacity[link]
                }
            }
        }
        return rules
    }
}
