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
        /// The heartbeats whose answers still count, and when each was first sent.
        var sent: [(sequence: UInt32, at: Int64)] = []
        /// When a majority had last obeyed; at first, when the ballot's first heartbeat was sent.
        var lastWon: Int64 = 0
        // Looked up by key only.
        var answered: [NodeID: Int64] = [:]
        var presentSince: [NodeID: Int64] = [:]
        /// Under `quorum` they alone count.
        var voters: [NodeID]?
    }

    private var watches: [Watch]
    private let lease: Int64
    private let grace: Int64
    /// How old a heartbeat may be whose answer counts, on the fastest clock that leases allow for.
    private let answerLimit: Int64
    /// What a lease may be late: the next heartbeat, and clocks that drift.
    private static let slack: Int64 = 1_000_000_000

    init(nodeCount: Int) {
        watches = Array(repeating: Watch(), count: nodeCount)
        let configuration = ElectionConfiguration()
        lease = configuration.lease.wholeNanoseconds
        answerLimit = lease * 86 / 100
        grace = configuration.newcomerGrace.wholeNanoseconds
    }

    /// A member's word that it obeys reached the host.
    ///
    /// An answer to a heartbeat of long ago, held up on its way, says nothing of today: neither
    /// does the member obey now, nor has it been heard since it appeared.
    mutating func obeyed(
        _ heartbeat: ObeyedHeartbeat,
        by member: NodeID,
        to host: SimulatedHost,
        at now: Int64
    ) {
        begin(host)
        // Who is held for dead obeys nobody who counts it.
        guard watches[host.index].voters != nil || watches[host.index].presentSince[member] != nil
        else { return }
        // A late word about an earlier ballot wins nothing.
        guard watches[host.index].ballot == heartbeat.ballot,
            let sent = watches[host.index].sent.last(where: {
                $0.sequence == heartbeat.sequence
            }),
            now - sent.at <= answerLimit
        else { return }
        watches[host.index].answered[member] = now
        // Who is new and silent counts from some moment on: until then these are a majority.
        if watches[host.index].voters == nil,
            watches[host.index].answered.count < watches[host.index].presentSince.count - 1
        {
            count(host, at: now)
        }
    }

    /// Something changed at the host; a master that is alone sends no heartbeats to look at.
    mutating func look(
        at host: SimulatedHost,
        _ master: Ballot?,
        _ voters: VoterConfiguration?,
        _ others: MemberTable,
        at now: Int64
    ) {
        if master?.node == host.identity {
            begin(host)
            if let voters { use(voters.voters, at: host, now) }
            // Until now the view was as before; alone, a master is its own majority.
            count(host, at: now)
            watch(others, host, now)
            // Whoever is left may be a majority at this moment, and not any more when the next
            // heartbeat is sent: a newcomer counts by then.
            count(host, at: now)
        } else if isWatching(host) {
            // A master that is deposed before its first heartbeat was watched, too.
            watches[host.index] = Watch(life: host.life)
        }
    }

    /// Whether the host was a master lately.
    func isWatching(_ host: SimulatedHost) -> Bool {
        watches[host.index].ballot != nil || !watches[host.index].presentSince.isEmpty
    }

    /// Whether the heartbeat was not looked at before: one goes to many.
    func isNew(_ ballot: Ballot, _ sequence: UInt32, _ host: SimulatedHost) -> Bool {
        watches[host.index].life != host.life || watches[host.index].sequence != sequence
            || watches[host.index].ballot != ballot
    }

    /// The host says that it is master.
    mutating func reigns(
        _ ballot: Ballot,
        _ sequence: UInt32,
        _ host: SimulatedHost,
        _ others: MemberTable,
        _ simulation: Simulation
    ) {
        let now = simulation.now
        begin(host)
        if watches[host.index].ballot != ballot {
            watches[host.index].lastWon = now
            forgetNewcomers(of: host.index, at: now)
        }
        watches[host.index].ballot = ballot
        watches[host.index].sequence = sequence
        watches[host.index].sent.removeAll { now - $0.at > answerLimit }
        watches[host.index].sent.append((sequence, now))
        use(simulation.quorum.voters(of: host), at: host, now)
        watch(others, host, now)
        count(host, at: now)
        let age = now - watches[host.index].lastWon
        guard age > lease + Self.slack else { return }
        // While a disk refuses, news of members do not pass from one actor to the next; who is new
        // to the election is not told from here then.
        let patience = grace + lease + Self.slack
        if let refusal = host.disk.lastRefusal, now - refusal < patience { return }
        simulation.report(
            "lease",
            "\(host.name) still says that it is master, and no majority of the members that it "
                + "sees has obeyed it for \(DiagramFacts.words(.nanoseconds(age))); "
                + "\(DiagramFacts.words(.nanoseconds(lease + Self.slack))) are allowed"
        )
    }

    /// Finds the latest moment since which a majority has obeyed; members that appeared lately
    /// count only if they did.
    private mutating func count(_ host: SimulatedHost, at now: Int64) {
        let index = host.index
        if let voters = watches[index].voters {
            let moments = voters.compactMap {
                $0 == host.identity ? now : watches[index].answered[$0]
            }
            guard moments.count > voters.count / 2 else { return }
            let moment = moments.sorted(by: >)[voters.count / 2]
            watches[index].lastWon = max(watches[index].lastWon, moment)
            return
        }
        var moments = [now]
        var silentCount = 0
        // The order in which a dictionary tells them changes nothing here.
        for (member, since) in watches[index].presentSince where member != host.identity {
            if let answered = watches[index].answered[member] {
                moments.append(answered)
            } else if now - since > grace {
                silentCount += 1
            }
        }
        let majority = (moments.count + silentCount) / 2 + 1
        guard moments.count >= majority else { return }
        let moment = moments.sorted(by: >)[majority - 1]
        watches[index].lastWon = max(watches[index].lastWon, moment)
    }

    /// A new ballot may have waited for the disk, and what came meanwhile for the one before counts
    /// for nothing: who was new is new still.
    private mutating func forgetNewcomers(of index: Int, at now: Int64) {
        // The order in which a dictionary tells them changes nothing here.
        for (member, since) in watches[index].presentSince where now - since <= grace {
            watches[index].answered[member] = nil
        }
    }

    /// Takes note of who votes; what a majority of those before has obeyed was won all the same.
    private mutating func use(_ voters: [NodeID]?, at host: SimulatedHost, _ now: Int64) {
        let before = watches[host.index].voters
        guard voters != before else { return }
        if before != nil { count(host, at: now) }
        watches[host.index].voters = voters
    }

    private mutating func begin(_ host: SimulatedHost) {
        guard watches[host.index].life != host.life else { return }
        watches[host.index] = Watch(life: host.life)
    }

    /// Most of the time nobody came or went.
    private func hasChanged(_ view: MemberTable, _ index: Int, _ own: NodeID) -> Bool {
        var count = 1
        // By places: members are not copied, which would cost more than looking at them.
        for place in view.indices where view[place].state.isPresent && view[place].id != own {
            count += 1
            if watches[index].presentSince[view[place].id] == nil { return true }
        }
        return count != watches[index].presentSince.count
    }

    private mutating func watch(
        _ view: MemberTable,
        _ host: SimulatedHost,
        _ now: Int64
    ) {
        let index = host.index
        let own = host.identity
        guard hasChanged(view, index, own) else { return }
        let before = watches[index]
        watches[index].presentSince = [own: before.presentSince[own] ?? now]
        if before.voters == nil { watches[index].answered = [:] }
        for member in view where member.state.isPresent && member.id != own {
            watches[index].presentSince[member.id] = before.presentSince[member.id] ?? now
            watches[index].answered[member.id] = before.answered[member.id]
        }
    }
}
