// The ways between members.
extension NetworkDiagnosis {
    static func peers(_ agent: NetworkFacts.Agent) -> [NetworkFinding] {
        agent.peers.flatMap { peer in
            [way(to: peer, agent), detour(to: peer)].compactMap { $0 }
        }
    }

    /// It works, but only between devices that see each other on another network.
    private static func detour(to peer: NetworkFacts.Peer) -> NetworkFinding? {
        guard let detour = peer.detour else { return nil }
        return .note(
            "peer.detour",
            "\(peer.name) says that it is at \(peer.address), from where nothing comes to this device; "
                + "it is reached at \(detour).",
            "If other devices miss it, start its agent with --bind and its address on the network "
                + "that all share"
        )
    }

    private static func way(
        to peer: NetworkFacts.Peer,
        _ agent: NetworkFacts.Agent
    ) -> NetworkFinding? {
        let name = "\(peer.name) (\(peer.address))"
        switch (peer.datagrams.fails, peer.streams.fails) {
        case (false, false): return nil
        case (true, false) where peer.streams == .works || peer.dialsUs:
            return .problem(
                "peer.datagrams",
                "\(name) does not answer datagrams, but streams to or from it work.",
                because: "A firewall on one of the two drops UDP port \(agent.port).",
                "On \(peer.name) and here: sudo ufw allow \(agent.port)/udp"
            )
        case (false, true) where peer.streams == .refused:
            return .problem(
                "peer.streams",
                "\(name) answers datagrams, but its system refuses streams.",
                because: "A firewall there rejects TCP port \(agent.port).",
                "On \(peer.name): sudo ufw allow \(agent.port)/tcp"
            )
        case (false, true) where peer.dialsUs,
            (true, true) where peer.dialsUs && peer.isHeard != false:
            return .problem(
                "peer.oneWay",
                "\(name) can open streams to this device, but not the other way round.",
                because: "It is behind a router of its own (hotspot, NAT, VPN), or its firewall "
                    + "lets nothing in.",
                "With a key and the exposure 'relay' (the default) it is used all the same: "
                    + "\(peer.name) is asked to open the streams",
                "With --open or --exposure direct: put both on one network, or open port "
                    + "\(agent.port) on \(peer.name)"
            )
        case (false, true):
            return .problem(
                "peer.streams",
                "\(name) answers datagrams, but no stream to it can be opened.",
                because: "A firewall there drops TCP port \(agent.port).",
                "On \(peer.name): sudo ufw allow \(agent.port)/tcp"
            )
        case (true, false) where peer.isHeard == true, (true, true) where peer.isHeard == true:
            return .problem(
                "peer.deaf",
                "\(name) is heard here, but does not hear this device: what is sent there gets lost.",
                because: "The link passes one direction only: a firewall there or in between drops "
                    + "what comes from here, or this device's radio is too weak.",
                "On \(peer.name), let in UDP and TCP port \(agent.port): sudo ufw allow "
                    + "\(agent.port)",
                "If it is a wireless link, bring the devices closer to their access point"
            )
        case (true, false), (true, true):
            return .problem(
                "peer.unreachable",
                "\(name) is alive, as other members say, but this device cannot reach it at all.",
                because: "The network keeps the two apart: AP isolation, different networks, or a "
                    + "VPN on one of them.",
                "Put both on one network without isolation",
                "On \(peer.name): caravan doctor network tells what it sees"
            )
        }
    }

    /// What others cannot reach; what this agent cannot reach itself is said above.
    static func gaps(_ agent: NetworkFacts.Agent) -> [NetworkFinding] {
        agent.gaps.filter { $0.from != agent.name }.map { gap in
            let ways =
                gap.datagrams && gap.streams
                ? "neither by datagrams nor by streams"
                : gap.datagrams ? "not by datagrams, only by streams" : "not by streams"
            return .problem(
                "link.gap",
                "\(gap.from) reaches \(gap.to) \(ways).",
                because: gap.streams
                    ? "While \(gap.from) is master, \(gap.to) works for it only if it can open "
                        + "streams to it." : nil,
                "On \(gap.from): caravan doctor network"
            )
        }
    }

    static func policies(_ agent: NetworkFacts.Agent) -> [NetworkFinding] {
        guard let own = agent.policy else { return [] }
        return agent.peers.compactMap { peer in
            guard let other = peer.policy, other != own else { return nil }
            return .problem(
                "policy.other",
                "\(peer.name) elects under the policy '\(other)', this agent under '\(own)'.",
                because: "They were started with different options.",
                "Start all agents of a cluster with the same --policy"
            )
        }
    }

    static func translations(_ agent: NetworkFacts.Agent) -> [NetworkFinding] {
        let count = ["datagram", "stream"].reduce(0 as UInt64) {
            $0 &+ (agent.refused["\($1).otherTarget"] ?? 0)
        }
        guard count > 0 else { return [] }
        return [
            .problem(
                "address.translated",
                "\(count) greetings that were sent to another address were refused.",
                because: "A router or a container changes addresses on the way (a forwarded port), "
                    + "or somebody plays what was recorded elsewhere.",
                "Name agents by addresses of their own (--seed), not by a router's",
                "Connect networks that are apart by a VPN"
            )
        ]
    }

    static func versions(_ agent: NetworkFacts.Agent) -> [NetworkFinding] {
        let count = ["datagram", "stream", "beacon"].reduce(0 as UInt64) {
            $0 &+ (agent.refused["\($1).unsupportedVersion"] ?? 0)
        }
        guard count > 0 else { return [] }
        return [
            .problem(
                "version.other",
                "\(count) messages of agents of another version were refused.",
                "Install the same version of caravan on all devices"
            )
        ]
    }
}
