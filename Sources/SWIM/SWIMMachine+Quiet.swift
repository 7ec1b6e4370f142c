import Primitives

// Hearing others speak: who falls silent is missed, and while all speak, few probes are needed.
extension SWIMMachine {
    mutating func heard(_ id: NodeID, at now: Instant, _ effects: inout [SWIMEffect]) {
        guard configuration.parts.usesEvidence else { return }
        updateContact(id) { $0.heard(at: now) }
        startListening(to: id, at: now, &effects)
        if !suspicions.isEmpty { lookAtHeard(id, at: now, &effects) }
    }

    /// A heartbeat is as good as a ping: who does not answer it is missed, too, even if it has
    /// never been heard to speak regularly, which nobody does to a new master at first.
    mutating func awaitAnswer(of id: NodeID, at now: Instant, _ effects: inout [SWIMEffect]) {
        guard configuration.parts.usesEvidence else { return }
        updateContact(id) { $0.awaitsAnswer(from: now) }
        startListening(to: id, at: now, &effects)
    }

    private mutating func startListening(
        to id: NodeID,
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        guard !isListening, let moment = contact(with: id)?.silentFrom else { return }
        isListening = true
        effects.append(.setTimer(.silence, after: moment - now))
    }

    /// Looks for members that have fallen silent, and when to look again.
    mutating func listen(at now: Instant, _ effects: inout [SWIMEffect]) {
        isListening = false
        var next: Instant?
        var silent: [NodeID] = []
        for place in contacts.indices {
            guard let moment = contacts[place].silentFrom else { continue }
            if moment > now {
                next = min(moment, next ?? moment)
            } else {
                silent.append(contacts[place].id)
                contacts[place].isMissed()
            }
        }
        if let next {
            isListening = true
            let wait = max(next - now, Self.listenInterval)
            effects.append(.setTimer(.silence, after: wait))
        }
        for id in silent { suspects(id, on: .silent, at: now, &effects) }
    }

    /// How far apart these looks are at least.
    private static let listenInterval: Duration = .milliseconds(100)

    // MARK: - Rest

    /// Whether the deaths that there can be are noticed without probes.
    ///
    /// Every member is watched over a stream, and some speak regularly: a master hears everybody,
    /// and its followers hear it.
    var isQuiet: Bool {
        guard configuration.parts.usesEvidence, localHealth == 0, suspicions.isEmpty,
            lateShare < Self.quietLateShare, presentCount <= configuration.allPairsLimit
        else { return false }
        return contacts.count == presentCount - 1 && contacts.allSatisfy(\.isWatched)
            && contacts.contains(where: \.isRegular)
    }

    /// Whoever's datagrams got lost a moment ago is looked at more often, until some twenty have
    /// come through: the way to it may be broken.
    private static let quietLateShare = 0.015

    var quietFactor: Int { isQuiet ? configuration.quietFactor : 1 }

    /// Something happened: what was put off is due within the usual time.
    mutating func endRest(at now: Instant, _ effects: inout [SWIMEffect]) {
        isResting = false
        // At a moment of chance: all others have noticed it, too.
        let period = configuration.period.scaled(by: generator.fraction())
        bringForward(.period, to: period, at: now, &effects)
        bringForward(.sync, to: jittered(configuration.syncInterval), at: now, &effects)
    }

    private func bringForward(
        _ timer: SWIMTimer,
        to delay: Duration,
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        guard let due = dues[timer], due > now + delay else { return }
        effects.append(.cancelTimer(timer))
        effects.append(.setTimer(timer, after: delay))
    }

    // MARK: - Digests

    /// What goes with a ping while nothing else brings differences to light soon.
    func ownDigest(for id: NodeID) -> [GossipMessage] {
        guard isResting, queue.isEmpty,
            others.member(id)?.facts.vocabulary ?? .first >= .beats
        else { return [] }
        return [.digest(digest)]
    }

    /// Of the words of all present members that this agent knows, in any order.
    private var digest: UInt32 {
        var sum = Self.digest(of: own.id, own.incarnation, own.factsVersion)
        for place in others.indices where others[place].state.isPresent {
            let member = others[place]
            sum &+= Self.digest(of: member.id, member.factsIncarnation, member.factsVersion)
        }
        return UInt32(truncatingIfNeeded: sum >> 32)
    }

    private static func digest(
        of id: NodeID,
        _ incarnation: UInt64,
        _ factsVersion: UInt32
    ) -> UInt64 {
        [id.high, id.low, incarnation, UInt64(factsVersion)].reduce(0xCBF2_9CE4_8422_2325) {
            let mixed = ($0 ^ $1) &* 0x9E37_79B9_7F4A_7C15
            return mixed ^ mixed >> 29
        }
    }

    /// Who believes something else and has no news of it under way missed some: compare notes.
    mutating func compare(
        _ digest: UInt32,
        of sender: NodeID,
        at source: Endpoint,
        _ now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        guard !isLeaving, queue.isEmpty, others.isPresent(sender), digest != self.digest else {
            return
        }
        if let lastComparison, now - lastComparison < configuration.syncInterval { return }
        lastComparison = now
        effects.append(.sync(to: source))
    }
}

extension SWIMInput {
    /// Whether it can be the end of quiet times.
    var mayDisturb: Bool {
        switch self {
        case .heard, .awaits, .sighted, .facts, .streamOpened: false
        case .message(.ping, _, _), .message(.ack, _, _), .message(.nack, _, _),
            .message(.pingRequest, _, _), .message(.digest, _, _):
            false
        case .start, .message(.update, _, _), .synced, .streamAnswered, .streamRefused, .evidence,
            .watch, .timer, .moved, .leave:
            true
        }
    }
}
