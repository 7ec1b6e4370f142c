/// Something about the network that a person should know, and what to do about it.
package struct NetworkFinding: Codable, Equatable, Sendable {
    package enum Weight: String, Codable, Sendable {
        /// Something does not work.
        case problem
        /// Fine, or intended, and good to know.
        case note
    }

    /// Stable, for programs.
    package var id: String
    package var weight: Weight
    /// What is the case.
    package var what: String
    /// What usually causes it.
    package var why: String?
    /// What to do, the likeliest first.
    package var actions: [String]

    package static func problem(
        _ id: String,
        _ what: String,
        because why: String? = nil,
        _ actions: String...
    ) -> NetworkFinding {
        NetworkFinding(id: id, weight: .problem, what: what, why: why, actions: actions)
    }

    package static func note(_ id: String, _ what: String, _ actions: String...) -> NetworkFinding {
        NetworkFinding(id: id, weight: .note, what: what, why: nil, actions: actions)
    }
}

/// Finds what is wrong with a network from what is known of it.
///
/// Each rule looks at the facts alone and says its own piece; none knows of the others.
package enum NetworkDiagnosis {
    package static func findings(_ facts: NetworkFacts) -> [NetworkFinding] {
        let found = interfaceRules(facts)
        guard let agent = facts.agent else { return [absent] + found }
        return membership(agent) + found + addressRules(agent, facts.interfaces)
            + discoveryRules(agent) + peers(agent) + gaps(agent) + policies(agent) + versions(agent)
            + translations(agent)
    }

    private static let absent = NetworkFinding.problem(
        "agent.absent",
        "No agent answers on this device.",
        "Start one: caravan agent",
        "If one runs on another address, name it: caravan doctor network --host ADDRESS"
    )

    // MARK: - Interfaces and addresses

    /// The addresses at which other devices could reach this one.
    static func outside(_ interfaces: [NetworkFacts.Interface]) -> [NetworkFacts.Interface] {
        interfaces.filter { $0.isUp && $0.kind != .loopback && !isLinkLocal($0) }
    }

    /// Those that only devices on the same link reach.
    ///
    /// Every interface has one, those that programs make for themselves, too.
    static func onLink(_ interfaces: [NetworkFacts.Interface]) -> [NetworkFacts.Interface] {
        interfaces.filter {
            $0.isUp && isLinkLocal($0) && ($0.kind == .local || $0.kind == .unknown)
        }
    }

    private static func isLinkLocal(_ interface: NetworkFacts.Interface) -> Bool {
        interface.address.hasPrefix("fe80:")
    }

    private static func interfaceRules(_ facts: NetworkFacts) -> [NetworkFinding] {
        guard outside(facts.interfaces).isEmpty else { return [] }
        let agent = facts.agent
        if let agent, isLoopback(agent.address), !agent.bindsAll { return [] }
        guard let link = onLink(facts.interfaces).first else {
            return [
                .problem(
                    "interface.none",
                    "This device is on no network: it has no address but its own loopback.",
                    "Connect it to the network of your other devices; agents notice it by "
                        + "themselves."
                )
            ]
        }
        guard let agent, isLoopback(agent.address) else { return [] }
        return [
            .problem(
                "interface.noIPv4",
                "This device has only a link-local IPv6 address (\(link.address) on "
                    + "\(link.name)), and its agent listens on IPv4 alone.",
                because: "It was started with --bind 0.0.0.0, or the network gives no IPv4 "
                    + "addresses (DHCP).",
                "Start it without --bind"
            )
        ]
    }

    private static func addressRules(
        _ agent: NetworkFacts.Agent,
        _ interfaces: [NetworkFacts.Interface]
    ) -> [NetworkFinding] {
        if isLoopback(agent.address) {
            return agent.bindsAll
                ? []
                : [
                    .note(
                        "address.loopback",
                        "The agent listens on \(agent.address), which only this machine reaches.",
                        "To meet other devices start it without --bind."
                    )
                ]
        }
        let outside = outside(interfaces)
        let all = outside + onLink(interfaces)
        guard let own = all.first(where: { $0.address == agent.address }) else {
            return [gone(agent, outside)]
        }
        let better = outside.filter { $0.kind.rank < own.kind.rank && $0.kind != .unknown }
        if let best = better.min(by: { $0.kind.rank < $1.kind.rank }) {
            return [
                .problem(
                    "address.wrongInterface",
                    "The agent says it is at \(agent.address) on \(own.name), \(own.kind.words); "
                        + "\(best.name) is on \(best.kind.words).",
                    because: "It was told to listen there only.",
                    "Start it with --bind \(best.address)"
                )
            ]
        }
        var names: [String] = []
        for interface in outside where !names.contains(interface.name) {
            names.append(interface.name)
        }
        guard names.count > 1, agent.bindsAll else { return [] }
        let others = names.filter { $0 != own.name }.joined(separator: ", ")
        return [
            .note(
                "address.several",
                "This device is on several networks. Others are told to reach it at "
                    + "\(agent.address) on \(own.name), not by \(others).",
                "If your other devices are on another one, start the agent with --bind and its "
                    + "address there."
            )
        ]
    }

    private static func gone(
        _ agent: NetworkFacts.Agent,
        _ outside: [NetworkFacts.Interface]
    ) -> NetworkFinding {
        let hint =
            outside.first.map { "Start it without --bind, or with --bind \($0.address)" }
            ?? "Connect the device to its network again"
        return .problem(
            "address.gone",
            "The agent says it is at \(agent.address), but this device does not have that "
                + "address now.",
            because: "The network changed.",
            agent.bindsAll ? "Wait some seconds: the agent takes its new address" : hint
        )
    }

    static func isLoopback(_ address: String) -> Bool {
        address.hasPrefix("127.") || address == "::1"
    }
}
