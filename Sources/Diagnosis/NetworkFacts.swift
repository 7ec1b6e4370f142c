/// What is known of the network at one device: its interfaces, and what its agent has seen.
///
/// As `GET /api/v1/network` gives it; keys are append-only.
package struct NetworkFacts: Codable, Equatable, Sendable {
    package var interfaces: [Interface]
    /// Nil if no agent runs here.
    package var agent: Agent?

    package init(interfaces: [Interface], agent: Agent?) {
        self.interfaces = interfaces
        self.agent = agent
    }

    /// One address of one network interface.
    package struct Interface: Codable, Equatable, Sendable {
        package var name: String
        package var address: String
        package var kind: InterfaceKind
        package var isUp: Bool
        package var supportsMulticast: Bool

        package init(
            name: String,
            address: String,
            kind: InterfaceKind,
            isUp: Bool,
            supportsMulticast: Bool
        ) {
            self.name = name
            self.address = address
            self.kind = kind
            self.isUp = isUp
            self.supportsMulticast = supportsMulticast
        }
    }

    package struct Agent: Codable, Equatable, Sendable {
        package var name: String
        package var cluster: String
        /// Whether it listens on all addresses rather than on one.
        package var bindsAll: Bool
        /// Where it says it is reached, without the port.
        package var address: String
        package var port: UInt16
        package var policy: String?
        /// How long it has run, in seconds.
        package var uptime: Int
        package var beacons: Beacons
        package var seeds: [Seed]
        /// Beacons heard of others, the newest of each address.
        package var heard: [Heard]
        /// Present members, this one not included.
        package var peers: [Peer]
        /// What members say that they cannot reach.
        package var gaps: [Gap]
        /// What was refused, by reason.
        package var refused: [String: UInt64]
        /// The member that said that this device was removed from the cluster.
        package var removedBy: String?

        package init(
            name: String,
            cluster: String,
            bindsAll: Bool,
            address: String,
            port: UInt16,
            policy: String?,
            uptime: Int,
            beacons: Beacons,
            seeds: [Seed] = [],
            heard: [Heard] = [],
            peers: [Peer] = [],
            gaps: [Gap] = [],
            refused: [String: UInt64] = [:],
            removedBy: String? = nil
        ) {
            self.name = name
            self.cluster = cluster
            self.bindsAll = bindsAll
            self.address = address
            self.port = port
            self.policy = policy
            self.uptime = uptime
            self.beacons = beacons
            self.seeds = seeds
            self.heard = heard
            self.peers = peers
            self.gaps = gaps
            self.refused = refused
            self.removedBy = removedBy
        }
    }

    package struct Beacons: Codable, Equatable, Sendable {
        /// False with `--no-discovery`.
        package var isOn: Bool
        /// Over how many ways they go.
        package var pathCount: Int
        package var sentCount: UInt64
        package var failedCount: UInt64
        /// Whether the agent has heard its own, which come back on a network that passes them.
        package var hearsItself: Bool

        package init(
            isOn: Bool,
            pathCount: Int,
            sentCount: UInt64,
            failedCount: UInt64,
            hearsItself: Bool
        ) {
            self.isOn = isOn
            self.pathCount = pathCount
            self.sentCount = sentCount
            self.failedCount = failedCount
            self.hearsItself = hearsItself
        }
    }

    package struct Seed: Codable, Equatable, Sendable {
        package var address: String
        /// Whether a present member is there.
        package var isMember: Bool

        package init(address: String, isMember: Bool) {
            self.address = address
            self.isMember = isMember
        }
    }

    package struct Heard: Codable, Equatable, Sendable {
        /// Where the beacon came from, without a port.
        package var address: String
        package var isOwnCluster: Bool
        /// Whether a present member is there.
        package var isMember: Bool
        /// Since when beacons have come from there, in seconds.
        package var seconds: Int
        /// Whether a member is, or was, at this address; nil if the agent does not tell.
        package var wasMember: Bool?

        package init(
            address: String,
            isOwnCluster: Bool,
            isMember: Bool,
            seconds: Int,
            wasMember: Bool? = nil
        ) {
            self.wasMember = wasMember
            self.address = address
            self.isOwnCluster = isOwnCluster
            self.isMember = isMember
            self.seconds = seconds
        }
    }

    package struct Peer: Codable, Equatable, Sendable {
        package var name: String
        package var address: String
        package var policy: String?
        /// Whether it answers datagrams.
        package var datagrams: Way
        /// Whether a stream to it stood.
        package var streams: Way
        /// Whether it has dialled this agent.
        package var dialsUs: Bool
        /// Where it is reached instead of at its address.
        package var detour: String?
        /// Whether datagrams of it have come here lately; nil if its agent does not tell.
        package var isHeard: Bool?

        package init(
            name: String,
            address: String,
            policy: String? = nil,
            datagrams: Way,
            streams: Way,
            dialsUs: Bool,
            detour: String? = nil,
            isHeard: Bool? = nil
        ) {
            self.detour = detour
            self.isHeard = isHeard
            self.name = name
            self.address = address
            self.policy = policy
            self.datagrams = datagrams
            self.streams = streams
            self.dialsUs = dialsUs
        }
    }

    package enum Way: String, Codable, Sendable, CaseIterable {
        case untried
        case works
        /// The other system says that nobody listens there, or that it is forbidden.
        case refused
        /// Nothing came back.
        case silent

        package var fails: Bool { self == .refused || self == .silent }
    }

    /// A member that cannot reach another one.
    package struct Gap: Codable, Equatable, Sendable {
        package var from: String
        package var to: String
        package var datagrams: Bool
        package var streams: Bool

        package init(from: String, to: String, datagrams: Bool, streams: Bool) {
            self.from = from
            self.to = to
            self.datagrams = datagrams
            self.streams = streams
        }
    }
}

/// What an interface leads to, judged by its name, as systems give them.
package enum InterfaceKind: String, Codable, Sendable, CaseIterable {
    /// This machine only.
    case loopback
    /// Wired or wireless, where other devices are.
    case local
    case unknown
    /// A tunnel, as of a VPN.
    case tunnel
    /// A phone network.
    case mobile
    /// Made by programs for containers and virtual machines.
    case virtual

    package init(name: String, isLoopback: Bool) {
        func begins(_ prefixes: [String]) -> Bool { prefixes.contains { name.hasPrefix($0) } }
        // `wlan`, `wlp3s0`, a phone's hotspot (`ap0`, `swlan0`), a phone on a cable (`rndis0`).
        if isLoopback {
            self = .loopback
        } else if begins(["rmnet", "ccmni", "pdp", "wwan", "clat", "v4-"]) {
            self = .mobile
        } else if begins(["tun", "tap", "wg", "utun", "ppp", "tailscale", "zt", "ipsec", "nebula"])
        {
            self = .tunnel
        } else if begins([
            "docker", "br-", "virbr", "veth", "cni", "flannel", "lxc", "lxd", "vmnet", "vboxnet",
            "podman", "cali", "kube",
        ]) {
            self = .virtual
        } else if begins(["en", "eth", "wl", "ap", "swlan", "bridge", "br", "rndis", "usb", "bond"])
        {
            self = .local
        } else {
            self = .unknown
        }
    }

    /// Which of several to say that one is reached by: the lower, the better.
    package var rank: Int {
        switch self {
        case .local: 0
        case .unknown: 1
        case .tunnel: 2
        case .mobile: 3
        case .virtual: 4
        case .loopback: 5
        }
    }

    /// In words for people.
    package var words: String {
        switch self {
        case .loopback: "this machine only"
        case .local: "a local network"
        case .unknown: "a network"
        case .tunnel: "a VPN"
        case .mobile: "a phone network"
        case .virtual: "containers or virtual machines on this device"
        }
    }
}
