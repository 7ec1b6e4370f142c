import Diagnosis
import EventLoop
import Primitives
import Runtime
import SWIM
import Sockets

/// Collects what this agent knows of its network; used on the loop.
struct NetworkSurvey: Sendable {
    let configuration: AgentConfiguration
    let core: AgentCore
    let discovery: Discovery?
    let detours: DetourTransport
    /// Where members were in an earlier life.
    let remembered: [Endpoint]
    let loop: any AgentLoop
    let began: Instant
    /// The member that said that this device was removed.
    let removedBy: @Sendable () -> NodeID?

    init(
        configuration: AgentConfiguration,
        core: AgentCore,
        discovery: Discovery?,
        detours: DetourTransport,
        remembered: [Endpoint],
        loop: any AgentLoop,
        removedBy: @escaping @Sendable () -> NodeID?
    ) {
        self.configuration = configuration
        self.core = core
        self.discovery = discovery
        self.detours = detours
        self.remembered = remembered
        self.loop = loop
        self.removedBy = removedBy
        began = loop.now
    }

    /// - Parameter refused: what was refused, by reason.
    func facts(refused: [String: UInt64]) -> NetworkFacts {
        let view = core.snapshot().view
        return NetworkFacts(
            interfaces: Self.interfaces(),
            agent: agent(view, refused: refused)
        )
    }

    /// This machine's interfaces, also for whoever asks without an agent.
    static func interfaces() -> [NetworkFacts.Interface] {
        let addresses = (try? Interfaces.addresses()) ?? []
        return addresses.map { address in
            NetworkFacts.Interface(
                name: address.interface,
                address: "\(address.address.withoutScope)",
                kind: address.kind,
                isUp: address.isUp,
                supportsMulticast: address.supportsMulticast
            )
        }
    }

    private func agent(_ view: [Member], refused: [String: UInt64]) -> NetworkFacts.Agent {
        let own = view.first { $0.id == core.node }
        let present = view.filter { $0.state.isPresent }
        let others = present.filter { $0.id != core.node }
        return NetworkFacts.Agent(
            name: configuration.name,
            cluster: configuration.cluster,
            bindsAll: configuration.bind.isUnspecified,
            address: (own?.endpoint.address).map { "\($0)" } ?? "",
            port: configuration.agentPort,
            policy: own?.facts.policy.map { "\($0)" },
            uptime: Int((loop.now - began).inSeconds),
            beacons: beacons(),
            seeds: configuration.seeds.filter { $0 != own?.endpoint }.map { seed in
                NetworkFacts.Seed(
                    address: "\(seed)",
                    isMember: others.contains { $0.endpoint == seed }
                )
            },
            heard: heard(others, view),
            peers: others.map(peer),
            gaps: gaps(present),
            refused: refused,
            removedBy: removedBy().map { node in
                view.first { $0.id == node }?.facts.name ?? node.short
            }
        )
    }

    private func beacons() -> NetworkFacts.Beacons {
        guard let discovery else {
            return NetworkFacts.Beacons(
                isOn: false,
                pathCount: 0,
                sentCount: 0,
                failedCount: 0,
                hearsItself: false
            )
        }
        let counts = discovery.counts
        return NetworkFacts.Beacons(
            isOn: true,
            pathCount: discovery.assumeIsolated { $0.paths.count },
            sentCount: counts.packetsSent,
            failedCount: counts.droppedAsUnreachable &+ counts.droppedForSize,
            hearsItself: discovery.assumeIsolated { $0.heard.hearsItself }
        )
    }

    private func heard(_ others: [Member], _ view: [Member]) -> [NetworkFacts.Heard] {
        let now = loop.now
        let known = view.filter { $0.id != core.node }.map(\.endpoint) + remembered
        let entries = discovery?.assumeIsolated { $0.heard.entries } ?? []
        return entries.filter { now - $0.last < HeardBeacons.lifetime }.map { entry in
            NetworkFacts.Heard(
                address: "\(entry.address)",
                isOwnCluster: entry.endpoint != nil,
                isMember: others.contains {
                    $0.endpoint == entry.endpoint || $0.endpoint.address == entry.address
                },
                seconds: Int((entry.last - entry.first).inSeconds),
                wasMember: known.contains { $0.address == entry.address }
            )
        }
    }

    private func peer(_ member: Member) -> NetworkFacts.Peer {
        let reach = core.reach(of: member.id)
        return NetworkFacts.Peer(
            name: member.facts.name,
            address: "\(member.endpoint)",
            policy: member.facts.policy.map { "\($0)" },
            datagrams: Self.way(reach?.datagrams, isRefused: false, at: loop.now),
            streams: Self.way(reach?.dials, isRefused: reach?.isRefused ?? false, at: loop.now),
            dialsUs: reach?.dialledBy != nil && !saysThatItCannotDial(member),
            detour: detours.assumeIsolated { $0.detour(to: member.endpoint) }.map { "\($0)" },
            isHeard: core.lastHeard(member.id).map { loop.now - $0 < Self.hearingLimit } ?? false
        )
    }

    /// Members probe each other in turn: a healthy one is heard within this.
    private static let hearingLimit: Duration = .seconds(60)

    /// It has dialled this agent once, perhaps, and says that it cannot now.
    private func saysThatItCannotDial(_ member: Member) -> Bool {
        member.facts.gaps.contains {
            $0.tag == core.node.tag && $0.failures.contains(.streams)
        }
    }

    private static func way(
        _ trials: ReachTrials?,
        isRefused: Bool,
        at now: Instant
    ) -> NetworkFacts.Way {
        guard let trials else { return .untried }
        if trials.isBroken(at: now) { return isRefused ? .refused : .silent }
        return trials.hasWorked ? .works : .untried
    }

    private func gaps(_ present: [Member]) -> [NetworkFacts.Gap] {
        present.flatMap { member in
            member.facts.gaps.compactMap { gap in
                guard let other = present.first(where: { $0.id.tag == gap.tag }),
                    other.id != member.id,
                    !gap.failures.isDisjoint(with: [.datagrams, .streams])
                else { return nil }
                return NetworkFacts.Gap(
                    from: member.facts.name,
                    to: other.facts.name,
                    datagrams: gap.failures.contains(.datagrams),
                    streams: gap.failures.contains(.streams)
                )
            }
        }
    }
}
