import Diagnosis
import Testing

/// Each rule on facts that call for it, and on facts that do not.
struct NetworkDiagnosisTests {
    typealias Facts = NetworkFacts

    private static func interface(
        _ name: String,
        _ address: String,
        isUp: Bool = true
    ) -> Facts.Interface {
        Facts.Interface(
            name: name,
            address: address,
            kind: InterfaceKind(name: name, isLoopback: name == "lo"),
            isUp: isUp,
            supportsMulticast: true
        )
    }

    private static let loopback = interface("lo", "127.0.0.1")
    private static let wifi = interface("wlan0", "192.168.1.7")

    private static func peer(
        datagrams: Facts.Way = .works,
        streams: Facts.Way = .works,
        dialsUs: Bool = true,
        policy: String? = "available",
        isHeard: Bool? = nil
    ) -> Facts.Peer {
        Facts.Peer(
            name: "phone",
            address: "192.168.1.8",
            policy: policy,
            datagrams: datagrams,
            streams: streams,
            dialsUs: dialsUs,
            isHeard: isHeard
        )
    }

    /// A device on one Wi-Fi with one healthy peer, changed by the test.
    private static func findings(
        _ interfaces: [Facts.Interface] = [loopback, wifi],
        _ change: (inout Facts.Agent) -> Void = { _ in }
    ) -> [NetworkFinding] {
        var agent = Facts.Agent(
            name: "laptop",
            cluster: "home",
            bindsAll: true,
            address: "192.168.1.7",
            port: 52414,
            policy: "available",
            uptime: 60,
            beacons: Facts.Beacons(
                isOn: true,
                pathCount: 2,
                sentCount: 20,
                failedCount: 0,
                hearsItself: true
            ),
            heard: [heard()],
            peers: [peer()]
        )
        change(&agent)
        return NetworkDiagnosis.findings(Facts(interfaces: interfaces, agent: agent))
    }

    private static func heard(
        isOwnCluster: Bool = true,
        isMember: Bool = true,
        seconds: Int = 60,
        wasMember: Bool? = nil
    ) -> Facts.Heard {
        Facts.Heard(
            address: "192.168.1.8",
            isOwnCluster: isOwnCluster,
            isMember: isMember,
            seconds: seconds,
            wasMember: wasMember
        )
    }

    private static func ids(
        _ interfaces: [Facts.Interface] = [loopback, wifi],
        _ change: (inout Facts.Agent) -> Void = { _ in }
    ) -> [String] {
        findings(interfaces, change).map(\.id)
    }

    @Test func `a healthy network has no findings`() {
        #expect(Self.findings() == [])
    }

    @Test func `without an agent that is the finding`() {
        let facts = Facts(interfaces: [Self.loopback, Self.wifi], agent: nil)
        #expect(NetworkDiagnosis.findings(facts).map(\.id) == ["agent.absent"])
    }

    @Test func `a device without a network`() {
        let down = Self.interface("wlan0", "192.168.1.7", isUp: false)
        #expect(Self.ids([Self.loopback, down]) { $0.address = "127.0.0.1" } == ["interface.none"])
        let facts = Facts(interfaces: [Self.loopback], agent: nil)
        #expect(
            NetworkDiagnosis.findings(facts).map(\.id) == ["agent.absent", "interface.none"]
        )
    }

    @Test func `an agent on loopback is meant to be`() {
        for interfaces in [[Self.loopback], [Self.loopback, Self.wifi]] {
            let findings = Self.findings(interfaces) {
                $0.address = "127.0.0.2"
                $0.bindsAll = false
            }
            #expect(findings.map(\.id) == ["address.loopback"])
            #expect(findings.map(\.weight) == [.note])
        }
    }

    @Test func `an address that is gone`() throws {
        let moved = [Self.loopback, Self.interface("wlan0", "10.0.0.9")]
        let bound = try #require(Self.findings(moved) { $0.bindsAll = false }.first)
        #expect(bound.id == "address.gone")
        #expect(bound.actions.first?.contains("--bind 10.0.0.9") == true)
        let all = try #require(Self.findings(moved).first)
        #expect(all.actions.first?.hasPrefix("Wait") == true)
    }

    @Test(arguments: ["tun0", "wg0", "tailscale0", "docker0", "virbr0", "rmnet_data0"])
    func `an agent on a worse interface than there is`(name: String) throws {
        let other = Self.interface(name, "10.8.0.2")
        let finding = try #require(
            Self.findings([Self.loopback, other, Self.wifi]) { $0.address = "10.8.0.2" }.first
        )
        #expect(finding.id == "address.wrongInterface")
        #expect(finding.actions == ["Start it with --bind 192.168.1.7"])
    }

    @Test func `several networks are worth a note, several addresses of one are not`() {
        let both = [Self.loopback, Self.wifi, Self.interface("eth0", "10.0.0.7")]
        #expect(Self.ids(both) == ["address.several"])
        #expect(Self.ids(both) { $0.bindsAll = false } == [])
        let vpn = [Self.loopback, Self.wifi, Self.interface("tun0", "10.8.0.2")]
        #expect(Self.ids(vpn) == ["address.several"])
        let one = [
            Self.loopback, Self.wifi, Self.interface("wlan0", "fe80::7"),
            Self.interface("wlan0", "2001:db8::7"),
        ]
        #expect(Self.ids(one) == [])
    }

    @Test func `a link-local address is enough, but not for an agent on IPv4 alone`() throws {
        let link = [Self.loopback, Self.interface("wlan0", "fe80::7")]
        #expect(Self.ids(link) { $0.address = "fe80::7" } == [])
        let finding = try #require(Self.findings(link) { $0.address = "127.0.0.1" }.first)
        #expect(finding.id == "interface.noIPv4")
        #expect(finding.what.contains("fe80::7 on wlan0"))
        let containers = [Self.loopback, Self.interface("docker0", "fe80::8")]
        #expect(Self.ids(containers) { $0.address = "127.0.0.1" } == ["interface.none"])
    }

    @Test func `a member that is reached elsewhere is worth a note`() throws {
        let finding = try #require(
            Self.findings {
                var peer = Self.peer()
                peer.detour = "[fe80::8]:52414"
                $0.peers = [peer]
            }.first
        )
        #expect(finding.id == "peer.detour")
        #expect(finding.weight == .note)
        #expect(finding.what.hasSuffix("it is reached at [fe80::8]:52414."))
    }

    @Test func `beacons that are switched off`() {
        let off = { (agent: inout Facts.Agent) in agent.beacons.isOn = false }
        #expect(Self.ids { off(&$0) } == [])
        #expect(
            Self.ids {
                off(&$0)
                $0.peers = []
                $0.heard = []
            } == ["discovery.off"]
        )
    }

    @Test func `beacons that do not leave`() {
        #expect(Self.ids { $0.beacons.pathCount = 0 } == ["discovery.unsent"])
        #expect(
            Self.ids {
                $0.beacons.sentCount = 0
                $0.beacons.failedCount = 9
            } == ["discovery.unsent"]
        )
    }

    @Test func `an agent that does not hear itself, after a while`() {
        #expect(Self.ids { $0.beacons.hearsItself = false } == ["discovery.deaf"])
        #expect(
            Self.ids {
                $0.beacons.hearsItself = false
                $0.uptime = 3
            } == []
        )
    }

    @Test func `a beacon without a member behind it is isolation, after a while`() {
        #expect(Self.ids { $0.heard = [Self.heard(isMember: false)] } == ["network.isolation"])
        #expect(Self.ids { $0.heard = [Self.heard(isMember: false, seconds: 5)] } == [])
    }

    @Test func `another cluster is a note for members and a problem for the lonely`() {
        let other = [Self.heard(isOwnCluster: false, isMember: false)]
        #expect(Self.findings { $0.heard = other }.map(\.weight) == [.note])
        let alone = Self.findings {
            $0.heard = other
            $0.peers = []
        }
        #expect(alone.map(\.id) == ["cluster.other"])
        #expect(alone.map(\.weight) == [.problem])
        #expect(alone.first?.actions.first?.contains("'home'") == true)
    }

    @Test func `a removed device is told so, and how it comes back`() {
        let findings = Self.findings {
            $0.peers = []
            $0.heard = [Self.heard(isOwnCluster: false, isMember: false, wasMember: true)]
            $0.removedBy = "kitchen"
        }
        #expect(findings.map(\.id) == ["device.removed"])
        #expect(findings.first?.weight == .problem)
        #expect(findings.first?.what.contains("kitchen") == true)
        #expect(findings.first?.actions.contains { $0.contains("caravan join CODE") } == true)
    }

    @Test func `another key where members were is told apart from another cluster`() {
        let lost = [Self.heard(isOwnCluster: false, isMember: false, wasMember: true)]
        let findings = Self.findings {
            $0.peers = []
            $0.heard = lost
        }
        #expect(findings.map(\.id) == ["key.other"])
        #expect(findings.first?.actions.contains { $0.contains("join --replace CODE") } == true)
        // As long as others are there, it is not this device that was left behind.
        #expect(Self.ids { $0.heard = lost } == ["cluster.other"])
    }

    @Test func `a seed that does not answer, after a while`() {
        let silent = [
            Facts.Seed(address: "192.0.2.1:52414", isMember: false),
            Facts.Seed(address: "192.0.2.2:52414", isMember: true),
        ]
        let findings = Self.findings { $0.seeds = silent }
        #expect(findings.map(\.id) == ["seed.silent"])
        #expect(findings.first?.what.contains("192.0.2.1") == true)
        #expect(findings.first?.what.contains("192.0.2.2") == false)
        #expect(
            Self.ids {
                $0.seeds = silent
                $0.uptime = 3
            } == []
        )
    }

    @Test func `nobody heard, after a while`() {
        let alone = { (agent: inout Facts.Agent) in
            agent.peers = []
            agent.heard = []
        }
        #expect(Self.ids { alone(&$0) } == ["discovery.alone"])
        #expect(
            Self.ids {
                alone(&$0)
                $0.uptime = 3
            } == []
        )
    }

    @Test(
        arguments: [
            (Facts.Way.works, Facts.Way.works, false, nil), (.untried, .untried, false, nil),
            (.silent, .works, false, "peer.datagrams"), (.silent, .untried, true, "peer.datagrams"),
            (.works, .refused, false, "peer.streams"), (.works, .refused, true, "peer.streams"),
            (.works, .silent, false, "peer.streams"), (.works, .silent, true, "peer.oneWay"),
            (.silent, .silent, true, "peer.oneWay"), (.refused, .refused, true, "peer.oneWay"),
            (.silent, .silent, false, "peer.unreachable"),
            (.silent, .untried, false, "peer.unreachable"),
        ] as [(Facts.Way, Facts.Way, Bool, String?)]
    )
    func `the ways to a member`(
        datagrams: Facts.Way,
        streams: Facts.Way,
        dialsUs: Bool,
        expected: String?
    ) {
        let found = Self.findings {
            $0.peers = [Self.peer(datagrams: datagrams, streams: streams, dialsUs: dialsUs)]
        }
        #expect(found.map(\.id) == (expected.map { [$0] } ?? []))
        for finding in found {
            #expect(finding.what.contains("phone") && !finding.actions.isEmpty)
        }
    }

    @Test(
        arguments: [
            (true, true, "peer.oneWay"), (true, false, "peer.deaf"),
            (false, true, "peer.unreachable"), (false, false, "peer.unreachable"),
        ] as [(Bool, Bool, String)]
    )
    func `whom nothing of this device reaches, heard here or not`(
        isHeard: Bool,
        dialsUs: Bool,
        expected: String
    ) {
        let found = Self.findings {
            $0.peers = [
                Self.peer(datagrams: .silent, streams: .silent, dialsUs: dialsUs, isHeard: isHeard)
            ]
        }
        #expect(found.map(\.id) == [expected])
    }

    @Test func `what others cannot reach, but not twice what this agent cannot`() {
        let gaps = [
            Facts.Gap(from: "laptop", to: "phone", datagrams: true, streams: true),
            Facts.Gap(from: "phone", to: "server", datagrams: false, streams: true),
            Facts.Gap(from: "server", to: "phone", datagrams: true, streams: false),
        ]
        let found = Self.findings { $0.gaps = gaps }
        #expect(found.map(\.id) == ["link.gap", "link.gap"])
        #expect(found.first?.what == "phone reaches server not by streams.")
        #expect(found.first?.why?.contains("only if it can open streams") == true)
        #expect(found.last?.why == nil)
    }

    @Test func `members under another policy`() {
        #expect(Self.ids { $0.peers = [Self.peer(policy: "quorum")] } == ["policy.other"])
        #expect(Self.ids { $0.peers = [Self.peer(policy: nil)] } == [])
    }

    @Test func `agents of another version`() {
        let found = Self.findings {
            $0.refused = ["datagram.unsupportedVersion": 3, "beacon.unsupportedVersion": 2]
        }
        #expect(found.map(\.id) == ["version.other"])
        #expect(found.first?.what.hasPrefix("5 messages") == true)
        #expect(Self.ids { $0.refused = ["datagram.badMagic": 3] } == [])
    }

    @Test func `greetings that were sent to another address`() {
        let found = Self.findings {
            $0.refused = ["datagram.otherTarget": 3, "stream.otherTarget": 1]
        }
        #expect(found.map(\.id) == ["address.translated"])
        #expect(found.first?.what.hasPrefix("4 greetings") == true)
    }

    @Test(arguments: [
        ("lo", true, InterfaceKind.loopback), ("eth0", false, .local), ("enp3s0", false, .local),
        ("wlan0", false, .local), ("wlp2s0", false, .local), ("ap0", false, .local),
        ("br0", false, .local), ("br-1a2b", false, .virtual), ("docker0", false, .virtual),
        ("veth12", false, .virtual), ("tun0", false, .tunnel), ("wg0", false, .tunnel),
        ("rmnet_data2", false, .mobile), ("v4-rmnet_data2", false, .mobile),
        ("x", false, .unknown),
    ])
    func `interfaces are known by their names`(
        name: String,
        isLoopback: Bool,
        kind: InterfaceKind
    ) {
        #expect(InterfaceKind(name: name, isLoopback: isLoopback) == kind)
    }

    @Test func `the better kind of interface has the lower rank`() {
        let order: [InterfaceKind] = [.local, .unknown, .tunnel, .mobile, .virtual, .loopback]
        #expect(InterfaceKind.allCases.sorted { $0.rank < $1.rank } == order)
    }
}
