// How agents find each other, and what keeps them from it.
extension NetworkDiagnosis {
    /// How long a beacon may be heard before its sender should be a member.
    private static let joiningSeconds = 15
    /// How long an agent may take to find others.
    private static let searchSeconds = 15

    static func discoveryRules(_ agent: NetworkFacts.Agent) -> [NetworkFinding] {
        beacons(agent) + isolated(agent) + otherClusters(agent) + silentSeeds(agent)
            + loneliness(agent)
    }

    private static func beacons(_ agent: NetworkFacts.Agent) -> [NetworkFinding] {
        let beacons = agent.beacons
        guard beacons.isOn else {
            guard agent.seeds.isEmpty, agent.peers.isEmpty else { return [] }
            return [
                .problem(
                    "discovery.off",
                    "The agent does not look for others, and was told of none.",
                    "Start it without --no-discovery, or with --seed ADDRESS of another agent"
                )
            ]
        }
        if beacons.pathCount == 0 || (beacons.sentCount == 0 && beacons.failedCount > 0) {
            return isLoopback(agent.address) && agent.seeds.isEmpty && agent.peers.isEmpty
                ? []
                : [
                    .problem(
                        "discovery.unsent",
                        "No beacon leaves this device, so that others cannot find it.",
                        because: "None of its networks takes multicast or broadcast, or the "
                            + "system forbids it.",
                        "Name other agents: --seed ADDRESS:\(agent.port)"
                    )
                ]
        }
        guard !beacons.hearsItself, agent.uptime >= searchSeconds else { return [] }
        return [
            .problem(
                "discovery.deaf",
                "The agent does not hear beacons, not even its own.",
                because: "A firewall on this device drops UDP port 52413, or the system keeps "
                    + "multicast from programs, as many phones do.",
                "Let UDP 52413 in: sudo ufw allow 52413/udp, or firewall-cmd --add-port=52413/udp",
                "Or name other agents: --seed ADDRESS:\(agent.port)"
            )
        ]
    }

    /// Beacons come and nothing else does: the usual sign of a guest network.
    private static func isolated(_ agent: NetworkFacts.Agent) -> [NetworkFinding] {
        let heard = agent.heard.filter {
            $0.isOwnCluster && !$0.isMember && $0.seconds >= joiningSeconds
        }
        guard !heard.isEmpty else { return [] }
        let addresses = heard.map(\.address).joined(separator: ", ")
        return [
            .problem(
                "network.isolation",
                "Agents of this cluster are heard at \(addresses), but cannot be reached.",
                because: "The access point keeps its devices apart (AP or client isolation, guest "
                    + "network), or a firewall closes port \(agent.port), or the link passes one "
                    + "direction only.",
                "Switch isolation off at the access point, or leave its guest network",
                "Open port \(agent.port) there for UDP and TCP: sudo ufw allow \(agent.port)"
            )
        ]
    }

    private static func otherClusters(_ agent: NetworkFacts.Agent) -> [NetworkFinding] {
        let heard = agent.heard.filter { !$0.isOwnCluster && !isLost($0, agent) }
        guard !heard.isEmpty else { return [] }
        let addresses = heard.map(\.address).joined(separator: ", ")
        let what = "Agents of another cluster are heard at \(addresses); they stay apart."
        let action =
            "If they belong together, start all with the same --cluster name (here "
            + "'\(agent.cluster)') and the same key"
        return agent.peers.isEmpty
            ? [.problem("cluster.other", what, action)] : [.note("cluster.other", what, action)]
    }

    // MARK: - Being out

    static func membership(_ agent: NetworkFacts.Agent) -> [NetworkFinding] {
        if let member = agent.removedBy {
            return [
                .problem(
                    "device.removed",
                    "This device was removed from the cluster, as \(member) told it.",
                    because: "Somebody ran caravan devices remove on another device, which changed "
                        + "the cluster's key. Nobody there talks to this device any more.",
                    "To come back, get the new code on another device: caravan key show",
                    "Then here: caravan join CODE, and start the agent anew. It comes back as a "
                        + "new device"
                )
            ]
        }
        let lost = agent.heard.filter { isLost($0, agent) }
        guard !lost.isEmpty else { return [] }
        let addresses = lost.map(\.address).joined(separator: ", ")
        return [
            .problem(
                "key.other",
                "Where this cluster's devices were, agents with another key are heard now: "
                    + "\(addresses).",
                because: "The cluster's key was changed while this device was off, or this device "
                    + "was removed from the cluster.",
                "Get the new code on another device: caravan key show",
                "Then here: caravan join --replace CODE, and start the agent anew",
                "If it stays alone, it was removed: caravan join --new-device CODE"
            )
        ]
    }

    /// Whether a member was there, who cannot be understood any more.
    private static func isLost(_ heard: NetworkFacts.Heard, _ agent: NetworkFacts.Agent) -> Bool {
        !heard.isOwnCluster && heard.wasMember == true && agent.peers.isEmpty
    }

    private static func silentSeeds(_ agent: NetworkFacts.Agent) -> [NetworkFinding] {
        let silent = agent.seeds.filter { !$0.isMember }
        guard !silent.isEmpty, agent.uptime >= searchSeconds else { return [] }
        let addresses = silent.map(\.address).joined(separator: ", ")
        return [
            .problem(
                "seed.silent",
                "No agent of this cluster answers at \(addresses), named by --seed.",
                because: "It does not run, has another address now, belongs to another cluster, "
                    + "or a firewall closes its port.",
                "On that device: caravan doctor network"
            )
        ]
    }

    private static func loneliness(_ agent: NetworkFacts.Agent) -> [NetworkFinding] {
        guard agent.peers.isEmpty, agent.heard.isEmpty, agent.beacons.isOn,
            agent.uptime >= searchSeconds
        else { return [] }
        return [
            .problem(
                "discovery.alone",
                "No other agent is heard.",
                because: "None runs on this network, or the network does not pass multicast and "
                    + "broadcast.",
                "Check that the other agents run, and that all devices are on the same network",
                "Name one of them: caravan agent --seed ADDRESS:\(agent.port)"
            )
        ]
    }
}
