import LayerPlacement
import LeaderElection
import Primitives
import Runtime
import SWIM
import Wire

/// What must hold after every event (election.md, S1–S4).
///
/// It looks at what leaves a node and at what its actors do, never at what the machines remember
/// but have not stored yet: only what others can see can do harm.
struct SafetyOracle {
    private struct Life: Equatable {
        let host: Int
        let life: Int
    }

    /// What one life of a host believed last, by the numbers of members.
    private struct Beliefs {
        var life = 0
        var incarnations: [UInt64] = []
        /// Who stood where in the list of members last, and which number that was: mostly the same
        /// as now, and no hash is needed.
        var places: [(id: NodeID, number: Int)] = []
        /// At which look each was there last, and the number of this one.
        var looks: [UInt32] = []
        var look: UInt32 = 0

        /// Who is forgotten, because it was dead for long, may come back in old news: a clock that
        /// jumps makes that soon.
        mutating func forget() {
            for number in incarnations.indices where looks[number] != look {
                incarnations[number] = 0
            }
        }
    }

    /// What one identity of a host said last; a host that loses its disk gets another.
    private struct Word {
        var identity: NodeID
        var ballot: Ballot?

        /// Takes the next one, and tells the one before.
        mutating func next(_ ballot: Ballot, of host: NodeID) -> Ballot? {
            let before = identity == host ? self.ballot : nil
            identity = host
            self.ballot = ballot
            return before
        }
    }

    private struct Vote {
        let term: UInt64
        let candidate: NodeID
        /// Nanoseconds of virtual time.
        let at: Int64
    }

    // Looked up by key only: a dictionary's order would differ from process to process.
    private var masters: [Ballot: Life] = [:]
    private var votes: [NodeID: Vote] = [:]
    /// By host: which ballot it obeyed last, and which it last said that it obeys.
    private var obeyed: [Word] = []
    private var answered: [Word] = []
    private var numbers: [NodeID: Int] = [:]
    /// By the numbers of members: what they said themselves, and what others have seen of them; 0
    /// before that.
    private var incarnations: [UInt64] = []
    private var seenByOthers: [UInt64] = []
    /// By host; numbers, because in a large cluster these are many.
    private var believed: [Beliefs] = []
    /// By host: until when a large cluster's view is not looked at again.
    private var looks: [Int64] = []

    init(_ hosts: [SimulatedHost]) {
        obeyed = hosts.map { Word(identity: $0.identity) }
        answered = obeyed
        believed = hosts.map { _ in Beliefs() }
    }

    /// A life begins with what an earlier one has stored.
    mutating func begins(_ id: NodeID, _ record: DurableRecord, _ simulation: Simulation) {
        let number = number(of: id)
        let seen = seenByOthers[number]
        if record.incarnation + 1 <= seen {
            simulation.report(
                "S4",
                "\(simulation.name(of: id)) begins again with incarnation "
                    + "\(record.incarnation + 1), and others have seen \(seen)"
            )
        }
        incarnations[number] = record.incarnation + 1
    }

    private mutating func number(of id: NodeID) -> Int {
        if let number = numbers[id] { return number }
        let number = incarnations.count
        numbers[id] = number
        incarnations.append(0)
        seenByOthers.append(0)
        return number
    }

    // MARK: - What a node's actors do

    mutating func check(_ host: SimulatedHost, _ simulation: Simulation) {
        guard let loop = host.loop, let core = host.core else { return }
        var master: Ballot?
        loop.run { master = core.master }
        let isDue = isDue(host, simulation)
        let mayReign = master?.node == host.identity || simulation.lease.isWatching(host)
        if isDue {
            loop.run { checkIncarnations(core.own, core.others, host, simulation) }
        }
        if mayReign {
            let now = simulation.now
            loop.run {
                simulation.lease.look(at: host, master, core.voters, core.others, at: now)
            }
        }
        simulation.quality.look(at: host.index, master, at: simulation.now)
        guard let ballot = master else { return }
        if let before = obeyed[host.index].next(ballot, of: host.identity), ballot < before {
            simulation.report(
                "S2",
                "\(host.name) obeys ballot \(simulation.text(ballot)) after "
                    + simulation.text(before)
            )
        }
        guard ballot.node == host.identity else { return }
        let life = Life(host: host.index, life: host.life)
        if let other = masters[ballot], other != life {
            let text = simulation.text(ballot)
            simulation.report(
                "S1",
                other.host == host.index
                    ? "\(host.name) is master of ballot \(text) in its life \(host.life), and was in "
                        + "its life \(other.life)"
                    : "ballot \(text) has two masters: \(Scenario.name(of: other.host)) and "
                        + host.name
            )
        }
        masters[ballot] = life
    }

    /// In large clusters, where each view is looked at whole and changes all the time, once a
    /// second is enough for what only rises.
    private mutating func isDue(_ host: SimulatedHost, _ simulation: Simulation) -> Bool {
        guard simulation.hosts.count > Self.smallClusterLimit else { return true }
        if looks.isEmpty { looks = Array(repeating: .min, count: simulation.hosts.count) }
        guard simulation.now > looks[host.index] else { return false }
        looks[host.index] = simulation.now + 1_000_000_000
        return true
    }

    private static let smallClusterLimit = 64

    private mutating func checkIncarnations(
        _ own: Member,
        _ others: MemberTable,
        _ host: SimulatedHost,
        _ simulation: Simulation
    ) {
        if believed[host.index].life != host.life {
            believed[host.index] = Beliefs(life: host.life)
        }
        let number = number(of: own.id)
        if own.incarnation < incarnations[number] {
            simulation.report(
                "S4",
                "\(host.name) went back from incarnation \(incarnations[number]) to "
                    + "\(own.incarnation)"
            )
        }
        incarnations[number] = own.incarnation
        believed[host.index].look &+= 1
        for place in others.indices {
            let known = self.number(of: others[place].id, at: place, in: host)
            check(others[place].id, known, others[place].incarnation, as: host, simulation)
        }
        believed[host.index].forget()
    }

    private mutating func number(of id: NodeID, at place: Int, in host: SimulatedHost) -> Int {
        if place < believed[host.index].places.count,
            believed[host.index].places[place].id == id
        {
            return believed[host.index].places[place].number
        }
        let number = number(of: id)
        believed[host.index].places.removeSubrange(
            min(place, believed[host.index].places.count)...
        )
        if place == believed[host.index].places.count {
            believed[host.index].places.append((id, number))
        }
        return number
    }

    /// Looks at what a host believes of another member.
    private mutating func check(
        _ member: NodeID,
        _ number: Int,
        _ incarnation: UInt64,
        as host: SimulatedHost,
        _ simulation: Simulation
    ) {
        if incarnation > incarnations[number] {
            simulation.report(
                "S4",
                "\(host.name) believes incarnation \(incarnation) of "
                    + "\(simulation.name(of: member)), which is at \(incarnations[number])"
            )
        }
        seenByOthers[number] = max(incarnation, seenByOthers[number])
        while believed[host.index].incarnations.count <= number {
            believed[host.index].incarnations.append(0)
            believed[host.index].looks.append(0)
        }
        believed[host.index].looks[number] = believed[host.index].look
        let before = believed[host.index].incarnations[number]
        if incarnation < before {
            simulation.report(
                "S4",
                "\(host.name) went back from incarnation \(before) of "
                    + "\(simulation.name(of: member)) to \(incarnation)"
            )
        }
        believed[host.index].incarnations[number] = incarnation
    }

    // MARK: - What a node says

    /// Looks into a datagram that leaves a node.
    ///
    /// - Returns: the heartbeat of which it says that it is obeyed.
    mutating func sees(
        _ bytes: Span<UInt8>,
        from host: SimulatedHost,
        to target: SimulatedHost?,
        _ simulation: Simulation
    ) -> ObeyedHeartbeat? {
        // Election messages travel alone; the others need not be looked at here.
        switch ElectionGlance(bytes, from: host.identity, to: target?.identity) {
        case nil: break
        case .heartbeat(let ballot, let sequence):
            guard simulation.lease.isNew(ballot, sequence, host), let core = host.core else {
                return nil
            }
            simulation.quorum.reigns(ballot, simulation)
            simulation.lease.reigns(ballot, sequence, host, core.others, simulation)
        case .heartbeatReply(let ballot, let sequence, isObeyed: true):
            if let before = answered[host.index].next(ballot, of: host.identity),
                ballot < before
            {
                simulation.report(
                    "S2",
                    "\(host.name) answers ballot \(simulation.text(ballot)) after "
                        + simulation.text(before)
                )
            }
            return ObeyedHeartbeat(ballot: ballot, sequence: sequence)
        case .heartbeatReply(_, _, isObeyed: false):
            simulation.statistics.records["heartbeat.refused", default: 0] += 1
        case .other: readsVotes(in: bytes, from: host, simulation)
        }
        return nil
    }

    private mutating func readsVotes(
        in bytes: Span<UInt8>,
        from host: SimulatedHost,
        _ simulation: Simulation
    ) {
        let cluster = WireHeader.tag(ofCluster: SimulatedHost.cluster)
        guard let datagram = try? Datagram(decoding: bytes, cluster: cluster) else { return }
        for case .election(let message) in datagram.messages {
            switch message {
            case .voteRequest(let request): vote(for: request.ballot, by: host, simulation)
            case .voteReply(let reply) where reply.isGranted:
                simulation.statistics.records["vote.granted", default: 0] += 1
                vote(for: reply.ballot, by: host, simulation)
            case .voteReply: simulation.statistics.records["vote.refused", default: 0] += 1
            case .preVoteReply(let reply):
                if !reply.isGranted {
                    simulation.statistics.records["preVote.refused", default: 0] += 1
                }
            case .heartbeat, .heartbeatReply, .beat, .beatObeyed, .preVoteRequest, .resign,
                .configuration,
                .transferOffer, .transferAnswer, .handOver, .release:
                break
            }
        }
    }

    private mutating func vote(
        for ballot: Ballot,
        by host: SimulatedHost,
        _ simulation: Simulation
    ) {
        if let before = votes[host.identity] {
            if before.term == ballot.term, before.candidate != ballot.node {
                simulation.report(
                    "S1",
                    "\(host.name) votes twice in term \(ballot.term): at "
                        + "\(Duration.nanoseconds(before.at).inSeconds) s for "
                        + "\(simulation.name(of: before.candidate)), and now for "
                        + simulation.name(of: ballot.node)
                )
            }
            guard ballot.term > before.term else { return }
        }
        votes[host.identity] = Vote(
            term: ballot.term,
            candidate: ballot.node,
            at: simulation.now
        )
    }

    // MARK: - Who uses a worker

    /// A llama-server got through to an RPC server: both must belong to the same master, or two
    /// masters use one worker.
    func uses(
        _ server: SimulatedLlamaServer,
        workerAt endpoint: Endpoint,
        _ simulation: Simulation
    ) {
        // While an agent stands still, nobody stops its llama-server, nor does the relay carry for
        // it: the plain streams here go on all the same.
        guard !server.host.isStalled else { return }
        guard let host = simulation.host(at: endpoint.address),
            let worker = host.rpcServer, let own = worker.session, let user = server.session,
            user.ballot.node != own.ballot.node
        else { return }
        simulation.report(
            "S3",
            "the rpc-server of \(host.name) works for the master \(simulation.text(own.ballot)), "
                + "and the llama-server of \(server.host.name), started for "
                + "\(simulation.text(user.ballot)), uses it"
        )
    }
}

extension SimulatedHost {
    /// The RPC server that listens now.
    var rpcServer: SimulatedRPCServer? {
        guard case .process(let process) = listeners[Self.rpcPort]?.owner else { return nil }
        return process as? SimulatedRPCServer
    }

    var llamaServer: SimulatedLlamaServer? {
        processes.lazy.compactMap { $0 as? SimulatedLlamaServer }.first
    }
}
