import LeaderElection
import Primitives
import Runtime

/// What must hold beyond that under the policy `quorum` (election.md, S1 and S6).
///
/// Configurations count once they are on a disk: only then does anybody hear of them.
struct QuorumOracle {
    private let isOn: Bool
    /// Leases exclude each other only while clocks go about equally fast.
    private let checksLeases: Bool
    // Looked up by key only.
    private var masters: [UInt64: NodeID] = [:]
    private var voters: [ConfigurationID: [NodeID]] = [:]
    private var stored: [NodeID: VoterConfiguration] = [:]

    init(_ scenario: Scenario) {
        isOn = scenario.policy == .quorum
        checksLeases =
            isOn
            && scenario.faults.allSatisfy { scheduled in
                switch scheduled.fault {
                case .jump: false
                case .drift(_, let rate): 0.93...1.07 ~= rate
                case .partition, .oneWay, .bridge, .crash, .stall, .link, .rpcServer, .isolation,
                    .jam, .slow, .reset, .disk, .join, .llamaServer, .transfer, .leave, .drain:
                    true
                }
            }
    }

    // MARK: - Masters

    func check(_ host: SimulatedHost, _ simulation: Simulation) {
        guard isOn, checksLeases, Self.hasLease(host, simulation) else { return }
        for other in simulation.hosts
        where other !== host && Self.hasLease(other, simulation) {
            simulation.report(
                "S1",
                "\(host.name) and \(other.name) both have a lease that has not ended"
            )
        }
    }

    private static func hasLease(_ host: SimulatedHost, _ simulation: Simulation) -> Bool {
        guard let loop = host.loop, let core = host.core else { return false }
        var hasLease = false
        let now = Instant(nanoseconds: host.clock.read(simulation.now))
        loop.run {
            guard case .master(let reign) = core.election.assumeIsolated({ $0.machine.role })
            else { return }
            hasLease = reign.leaseEnd > now
        }
        return hasLease
    }

    /// A node says that it is master.
    mutating func reigns(_ ballot: Ballot, _ simulation: Simulation) {
        guard isOn else { return }
        if let other = masters[ballot.term], other != ballot.node {
            simulation.report(
                "S1",
                "term \(ballot.term) has two masters: \(simulation.name(of: other)) and "
                    + simulation.name(of: ballot.node)
            )
        }
        masters[ballot.term] = ballot.node
    }

    // MARK: - Voters

    /// A record is on a disk now.
    mutating func stored(
        _ record: ElectionRecord,
        by host: SimulatedHost,
        _ simulation: Simulation
    ) {
        guard isOn else { return }
        let before = stored[host.identity]
        guard let configuration = record.configuration else {
            if before != nil { simulation.report("S6", "\(host.name) forgot the voters") }
            return
        }
        guard configuration != before else { return }
        if let before, !configuration.id.isNewer(than: before.id) {
            simulation.report(
                "S6",
                "\(host.name) went back from voters \(before.id.term).\(before.id.version) to "
                    + "\(configuration.id.term).\(configuration.id.version)"
            )
        }
        if let known = voters[configuration.id], known != configuration.voters {
            simulation.report(
                "S6",
                "there are two sets of voters \(configuration.id.term)."
                    + "\(configuration.id.version)"
            )
        }
        // Whoever made it stores it first.
        if voters[configuration.id] == nil, let before,
            !VoterConfiguration.quorumsIntersect(before, configuration)
        {
            simulation.report(
                "S6",
                "\(host.name) replaced the voters \(Self.names(before, simulation)) by "
                    + "\(Self.names(configuration, simulation)): a majority of the ones need not "
                    + "share a member with a majority of the others"
            )
        }
        voters[configuration.id] = configuration.voters
        stored[host.identity] = configuration
    }

    private static func names(
        _ configuration: VoterConfiguration,
        _ simulation: Simulation
    ) -> String {
        "{" + configuration.voters.map(simulation.name).joined(separator: ", ") + "}"
    }

    /// Those that the host has stored; nil under the policy `available`.
    func voters(of host: SimulatedHost) -> [NodeID]? {
        stored[host.identity]?.voters
    }

    /// Whether a majority of the newest voters that these hosts have stored is among them.
    func hasQuorum(_ hosts: [SimulatedHost]) -> Bool {
        var newest: VoterConfiguration?
        for host in hosts {
            guard let held = stored[host.identity] else { continue }
            if newest.map({ held.id.isNewer(than: $0.id) }) ?? true { newest = held }
        }
        return newest?.isMajority(hosts.map(\.identity)) ?? false
    }
}
