import Primitives

// How news spreads, and how members find each other.
extension SWIMMachine {
    /// What is left of a datagram for messages once its header is written.
    static let headerByteCount = 28

    /// How many messages fit into a datagram while there is much news.
    private static let usualMessageCount = 16

    /// Sends a datagram and fills what is left of it with news.
    mutating func send(
        _ messages: [GossipMessage],
        to endpoint: Endpoint,
        _ effects: inout [SWIMEffect]
    ) {
        var messages = messages
        let used = messages.reduce(Self.headerByteCount) { $0 + $1.byteCount }
        if !queue.isEmpty {
            messages.reserveCapacity(Self.usualMessageCount)
            queue.take(
                byteCount: configuration.datagramByteLimit - used,
                limit: retransmitLimit(),
                into: &messages
            )
        }
        effects.append(.send(messages, to: endpoint))
    }

    /// How often a piece of news is sent: λ·⌈log10(n + 1)⌉.
    private mutating func retransmitLimit() -> Int {
        if retransmits.memberCount != presentCount {
            retransmits = (presentCount, computedRetransmitLimit)
        }
        return retransmits.limit
    }

    private var computedRetransmitLimit: Int {
        let scale = Logarithm.base10(Double(presentCount + 1))
        return configuration.retransmitMultiplier * max(1, Int(scale.rounded(.up)))
    }

    mutating func queueGossip(_ update: MemberUpdate, _ effects: inout [SWIMEffect]) {
        queue.enqueue(update)
        startGossip(&effects)
    }

    mutating func announceSelf(_ effects: inout [SWIMEffect]) {
        queueGossip(update(of: own), &effects)
    }

    /// Gossip ticks only while there is news, so that a quiet cluster sleeps.
    private mutating func startGossip(_ effects: inout [SWIMEffect]) {
        guard !isGossiping else { return }
        isGossiping = true
        // Soon, but not at once: what comes together goes together.
        effects.append(.setTimer(.gossip, after: configuration.firstGossipDelay))
    }

    mutating func gossip(at now: Instant, _ effects: inout [SWIMEffect]) {
        isGossiping = false
        guard !queue.isEmpty else { return }
        // Those who died lately hear the news too: only then can they object.
        let recently = configuration.reconnectInterval * 3
        let listeners = randomMembers(configuration.gossipFanout) {
            $0.state.isPresent || ($0.state == .dead && now - $0.since < recently)
        }
        for listener in listeners where !queue.isEmpty {
            send([], to: listener.endpoint, &effects)
        }
        // With nobody to tell, news waits for whoever joins: they get the full state anyway.
        if listeners.isEmpty {
            queue = GossipQueue()
        } else if !queue.isEmpty {
            isGossiping = true
            effects.append(.setTimer(.gossip, after: configuration.gossipInterval))
        }
    }

    func update(of member: Member) -> MemberUpdate {
        let belief: MemberUpdate.Belief
        switch member.state {
        case .alive:
            belief = .alive(
                endpoint: member.endpoint,
                factsVersion: member.factsVersion,
                facts: member.facts
            )
        case .suspect: belief = .suspect(accuser: accuser(of: member.id))
        case .dead: belief = .dead(accuser: own.id)
        case .left: belief = .left
        }
        return MemberUpdate(id: member.id, incarnation: member.incarnation, belief: belief)
    }

    private func accuser(of id: NodeID) -> NodeID {
        suspicions.first { $0.id == id }?.suspicion.accusers.first ?? own.id
    }

    /// What is held against a member, to be told to itself (Lifeguard §3.3).
    func held(against id: NodeID) -> [GossipMessage] {
        guard let state = state(of: id), state != .alive,
            // Even without the buddy system, who is gone must hear of it to come back.
            configuration.parts.tellsSuspects || !state.isPresent, let member = member(id)
        else { return [] }
        return [.update(update(of: member))]
    }

    /// Tells every present member at once, where they are few.
    mutating func tellEverybody(_ update: MemberUpdate, _ effects: inout [SWIMEffect]) {
        guard configuration.parts.usesEvidence, presentCount <= configuration.allPairsLimit else {
            return
        }
        for member in others where member.state == .alive {
            effects.append(.send([.update(update)], to: member.endpoint))
        }
    }

    // MARK: - Meeting

    /// Somebody unknown, or somebody believed gone, speaks: compare notes, now and then.
    mutating func introduce(
        _ sender: NodeID,
        at source: Endpoint,
        now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        guard state(of: sender)?.isPresent != true, !isLeaving else { return }
        if let last = lastIntroduction, now - last < configuration.period { return }
        lastIntroduction = now
        effects.append(.sync(to: source))
    }

    mutating func sighted(_ endpoint: Endpoint, _ effects: inout [SWIMEffect]) {
        guard endpoint != own.endpoint, !isLeaving, !isPresent(at: endpoint) else { return }
        effects.append(.sync(to: endpoint))
    }

    /// Asks the seeds that are not members yet, ever more rarely.
    mutating func askSeeds(_ effects: inout [SWIMEffect]) {
        // Who is back is lost no more; a seed stays one.
        lost = lost.filter { !isPresent(at: $0) }
        guard !seeds.isEmpty || !lost.isEmpty, !isLeaving else { return }
        let missing = (seeds + lost).filter { !isPresent(at: $0) }
        for seed in missing { effects.append(.sync(to: seed)) }
        seedDelay =
            missing.isEmpty
            ? configuration.seedInterval
            : min(seedDelay.scaled(by: 1.5), configuration.syncInterval)
        effects.append(.setTimer(.seeds, after: seedDelay))
    }

    mutating func syncWithAnyone(_ effects: inout [SWIMEffect]) {
        let interval = configuration.syncInterval * (quietFactor * crowdFactor)
        effects.append(.setTimer(.sync, after: jittered(interval)))
        guard !isLeaving, let partner = randomMembers(1, where: { $0.state == .alive }).first
        else { return }
        effects.append(.sync(to: partner.endpoint))
    }

    /// How much more rarely members of a large cluster compare notes: each comparison tells of
    /// everybody, and all of them together would grow with the square of the members.
    private var crowdFactor: Int {
        guard presentCount > configuration.crowdLimit else { return 1 }
        return 1 + Self.doublings(presentCount) - Self.doublings(configuration.crowdLimit)
    }

    /// How often one must be doubled to make at least so many.
    private static func doublings(_ count: Int) -> Int {
        Int.bitWidth - (count - 1).leadingZeroBitCount
    }

    /// Tells a dead member that it is dead: if it was only cut off, it objects.
    mutating func reconnect(at now: Instant, _ effects: inout [SWIMEffect]) {
        effects.append(.setTimer(.reconnect, after: jittered(configuration.reconnectInterval)))
        guard !isLeaving, let dead = randomMembers(1, where: { $0.state == .dead }).first else {
            return
        }
        nextNumber &+= 1
        let ping = GossipMessage.ping(number: nextNumber, target: dead.id)
        send(held(against: dead.id) + [ping], to: dead.endpoint, &effects)
    }

    private func isPresent(at endpoint: Endpoint) -> Bool {
        others.contains { $0.state.isPresent && $0.endpoint == endpoint }
    }

    /// Up to `count` different members that fit, at random.
    mutating func randomMembers(
        _ count: Int,
        where isFit: (Member) -> Bool
    ) -> [Member] {
        // Places instead of members, and no more of them moved than are taken: in a cluster of a
        // thousand this runs thousands of times a second.
        var places: [Int] = []
        places.reserveCapacity(others.count)
        for place in others.indices where isFit(others[place]) { places.append(place) }
        let taken = min(count, places.count)
        for place in 0..<taken {
            places.swapAt(place, place + generator.below(places.count - place))
        }
        return places.prefix(taken).map { others[$0] }
    }
}
