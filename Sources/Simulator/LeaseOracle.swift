import LeaderElection
import Primitives
import Runtime
import SWIM

/// Whether a master stops saying that it is one when nobody answers it any more (election.md,
/// the lease; L3 under `quorum`).
///
/// It keeps its own account of the answers that reached a node, and knows nothing of what the
/// machine makes of them.
struct LeaseOracle {
    private struct Watch {
        var life = 0
        var ballot: Ballot?
        var sequence: UInt32 = 0
        /// When the ballot's first heartbeat was sent.
        var began: Int64 = 0
        // Looked up by key only.
        var answered: [NodeID: Int64] = [:]
        var presentSince: [NodeID: Int64] = [:]
    }

    private var watches: [Watch]
    private let lease: Int64
    private let grace: Int64
    /// What a lease may be late: the next heartbeat, and clocks that drift.
    private static let slack: Int64 = 1_000_000_000

    init(nodeCount: Int) {
        watches = Array(repeating: Watch(), count: nodeCount)
        let configuration = ElectionConfiguration()
        lease = configuration.lease.wholeNanoseconds
        grace = configuration.newcomerGrace.wholeNanoseconds
    }

    /// A member's word that it obeys reached the host.
    mutating func answered(_ member: NodeID, to host: SimulatedHost, at now: Int64) {
        begin(host)
        watches[host.index].answered[member] = now
    }

    /// Something changed at the host; a master that is alone sends no heartbeats to look at.
    mutating func look(at host: SimulatedHost, _ snapshot: CoreSnapshot, at now: Int64) {
        if snapshot.master?.node == host.identity {
            begin(host)
            watch(snapshot.view, host.index, now)
        } else if watches[host.index].ballot != nil {
            watches[host.index] = Watch(life: host.life)
        }
    }

    /// The host says that it is master.
    mutating func reigns(
        _ heartbeat: ElectionMessage.Heartbeat,
        _ host: SimulatedHost,
        _ view: [Member],
        _ simulation: Simulation
    ) {
        let now = simulation.now
        begin(host)
        let before = watches[host.index]
        // One heartbeat goes to many.
        guard before.ballot != heartbeat.ballot || before.sequence != heartbeat.sequence else {
            return
        }
        if before.ballot != heartbeat.ballot { watches[host.index].began = now }
        watches[host.index].ballot = heartbeat.ballot
        watches[host.index].sequence = heartbeat.sequence
        watch(view, host.index, now)
        let watch = watches[host.index]
        let since = now - lease - Self.slack
        var counted = 1
        var fresh = 1
        for member in view where member.state.isPresent && member.id != host.identity {
            let isFresh = (watch.answered[member.id] ?? .min) >= since
            // The last lease that was won without it lasts beyond the grace.
            let age = now - (watch.presentSince[member.id] ?? now)
            let isNew = age <= grace + lease + Self.slack
            if isFresh { fresh += 1 }
            if isFresh || !isNew { counted += 1 }
        }
        guard watch.began < since, fresh < counted / 2 + 1 else { return }
        simulation.report(
            "lease",
            "\(host.name) still says that it is master, and only \(fresh) of the \(counted) "
                + "members that it sees have obeyed it within its lease"
        )
    }

    private mutating func begin(_ host: SimulatedHost) {
        guard watches[host.index].life != host.life else { return }
        watches[host.index] = Watch(life: host.life)
    }

    private mutating func watch(_ view: [Member], _ index: Int, _ now: Int64) {
        let known = watches[index].presentSince
        watches[index].presentSince = [:]
        for member in view where member.state.isPresent {
            watches[index].presentSince[member.id] = known[member.id] ?? now
        }
    }
}
