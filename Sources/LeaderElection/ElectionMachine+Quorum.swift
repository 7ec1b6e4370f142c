import Primitives

// What the policy decides: who counts, and with whom this member can be in one cluster.
extension ElectionMachine {
    /// Somebody who was heard and cannot be in one cluster with this member.
    struct Foreigner: Sendable {
        let node: NodeID
        var reason: ForeignReason
        var saidAt: Instant
    }

    private static let foreignerLimit = 256
    /// How often it is said again, for people who read logs.
    private static let foreignerInterval: Duration = .seconds(600)

    // MARK: - Majorities

    /// Whether this member may stand for master.
    var mayStand: Bool {
        guard !hasResigned, !isLeaving else { return false }
        switch configuration.policy {
        case .available: return true
        case .quorum: return record.configuration?.contains(own) ?? false
        }
    }

    func isMajority(_ supporters: [NodeID]) -> Bool {
        supporters.count(where: countsForMajority) >= majority(without: 0)
    }

    func countsForMajority(_ node: NodeID) -> Bool {
        guard countsVoters else { return isPresent(node) }
        return record.configuration?.contains(node) ?? false
    }

    /// How many make a majority, this member included.
    func majority(without newcomerCount: Int) -> Int {
        guard countsVoters else { return (members.count - newcomerCount) / 2 + 1 }
        return record.configuration?.majority ?? .max
    }

    private var countsVoters: Bool {
        configuration.policy == .quorum && !Mutant.countsAllMembers.isPlanted
    }

    // MARK: - Configurations

    /// What this member's requests and answers name.
    var ownConfiguration: ConfigurationID? {
        configuration.policy == .quorum ? record.configuration?.id : nil
    }

    /// Begins a cluster; a device that belongs to one does not.
    mutating func found(_ effects: inout [ElectionEffect]) {
        guard configuration.policy == .quorum, record.configuration == nil else { return }
        let first = VoterConfiguration(foundedBy: own)
        record.configuration = first
        effects += [.persist(record), .emit(.founded(first))]
        awaitElection(&effects)
    }

    /// A new master makes the configuration its own, so that none of an earlier term can follow.
    mutating func restampConfiguration(_ ballot: Ballot) {
        guard configuration.policy == .quorum else { return }
        record.configuration = record.configuration?.restamped(term: ballot.term)
    }

    /// A voter does not vote for whom has an older configuration than itself: its quorums may not
    /// intersect those of today.
    func allowsConfiguration(of request: ElectionMessage.VoteRequest) -> Bool {
        guard configuration.policy == .quorum else { return true }
        guard let own = record.configuration?.id, let other = request.configuration,
            own.founder == other.founder
        else { return false }
        // Who tells of voters of a term has had a master in it; that a voter is free says nothing,
        // because it may have become one only since.
        let obeyed = record.obeyed?.term ?? 0
        guard request.ballot.term > max(obeyed, other.term) else { return false }
        return !own.isNewer(than: other) || Mutant.votesForOldVoters.isPlanted
    }

    /// Tells somebody who spoke of an older configuration of the newer one.
    func inform(
        _ node: NodeID,
        of other: ConfigurationID?,
        _ effects: inout [ElectionEffect]
    ) {
        guard configuration.policy == .quorum, let newest = record.configuration, let other,
            newest.id.isNewer(than: other)
        else { return }
        effects.append(.send(.configuration(newest), to: node))
    }

    /// Takes a newer configuration over from whomever it comes.
    mutating func learn(
        _ newer: VoterConfiguration,
        from sender: NodeID,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        guard let known = record.configuration else { return }
        guard known.id.founder == newer.id.founder else {
            meetForeigner(sender, .otherCluster(founder: newer.id.founder), at: now, &effects)
            return
        }
        guard newer.id.isNewer(than: known.id) else { return }
        switch role {
        case .follower: break
        case .candidate:
            // What was asked for was asked in the name of older voters.
            role = .follower
            effects.append(.cancelTimer(.vote))
        case .master: depose(.superseded, &effects)
        }
        record.configuration = newer
        // That term has had its master.
        learn(term: newer.id.term)
        effects += [.persist(record), .emit(.votersChanged(newer))]
        if master == nil { awaitElection(&effects) }
    }

    /// The configuration of a heartbeat, if this member has not stored it yet.
    func newerConfiguration(in heartbeat: ElectionMessage.Heartbeat) -> VoterConfiguration? {
        guard let told = heartbeat.configuration else { return nil }
        guard let known = record.configuration else { return told }
        return told.id.isNewer(than: known.id) ? told : nil
    }

    /// Whether another master has made the voters its own since; a heartbeat that was overtaken by
    /// a later one of the same master is not outdated.
    func isOutdated(_ heartbeat: ElectionMessage.Heartbeat) -> Bool {
        guard let told = heartbeat.configuration?.id, let known = record.configuration?.id else {
            return false
        }
        return known.term > told.term
    }

    // MARK: - Foreigners

    /// Requests and heartbeats tell of which policy their sender is.
    mutating func isOfThisPolicy(
        _ message: ElectionMessage,
        from sender: NodeID,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) -> Bool {
        let policy: ElectionPolicy
        switch message {
        case .preVoteRequest(let request), .voteRequest(let request):
            policy = request.configuration == nil ? .available : .quorum
        case .heartbeat(let heartbeat):
            policy = heartbeat.configuration == nil ? .available : .quorum
        case .heartbeatReply(let reply):
            policy = reply.configuration == nil ? .available : .quorum
        case .beat, .beatObeyed: policy = .available
        case .configuration: policy = .quorum
        case .preVoteReply, .voteReply, .resign, .transferOffer, .transferAnswer, .handOver,
            .release:
            return true
        }
        guard policy == configuration.policy else {
            meetForeigner(sender, .otherPolicy, at: now, &effects)
            countMembers(at: now, &effects)
            return false
        }
        if hasOtherPolicy(sender) {
            foreigners.removeAll { $0.node == sender }
            countMembers(at: now, &effects)
        }
        return true
    }

    func hasOtherPolicy(_ node: NodeID) -> Bool {
        foreigners.contains { $0.node == node && $0.reason == .otherPolicy }
    }

    /// Two clusters never become one by themselves.
    mutating func isOfThisCluster(
        _ heartbeat: ElectionMessage.Heartbeat,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) -> Bool {
        guard let told = heartbeat.configuration?.id, let known = record.configuration?.id,
            told.founder != known.founder
        else { return true }
        meetForeigner(
            heartbeat.ballot.node,
            .otherCluster(founder: told.founder),
            at: now,
            &effects
        )
        return false
    }

    mutating func meetForeigner(
        _ node: NodeID,
        _ reason: ForeignReason,
        at now: Instant,
        _ effects: inout [ElectionEffect]
    ) {
        if let index = foreigners.firstIndex(where: { $0.node == node }) {
            guard
                foreigners[index].reason != reason
                    || now - foreigners[index].saidAt >= Self.foreignerInterval
            else { return }
            foreigners.remove(at: index)
        } else if foreigners.count >= Self.foreignerLimit {
            foreigners.removeFirst()
        }
        foreigners.append(Foreigner(node: node, reason: reason, saidAt: now))
        effects.append(.emit(.foreign(node, reason)))
    }
}
