package import Primitives

/// Who is in the cluster, and who is alive: SWIM (Das, Gupta, Motivala, DSN 2002) with Lifeguard
/// (Dadgar, Phillips, Currey, arXiv 1707.00788).
///
/// Every member is probed in turn; one that does not answer, directly or through others, is
/// suspected; one that does not refute the suspicion in time is dead. News rides on the probes.
/// A pure machine: time comes with each input, randomness from the seed, and everything that it
/// wants done leaves as effects.
package struct SWIMMachine: Sendable {
    package let configuration: SWIMConfiguration
    /// This agent, as it presents itself.
    package internal(set) var own: Member
    /// All others, dead and departed ones too until they are forgotten; sorted by id.
    package internal(set) var others = MemberTable()

    var generator: SeededGenerator
    var queue = GossipQueue()
    /// How often news is sent among so many members.
    var retransmits = (memberCount: 0, limit: 0)
    /// What is said of members that were never met: old words of theirs must not count for more.
    var unmet: [(update: MemberUpdate, since: Instant)] = []
    var suspicions: [(id: NodeID, suspicion: Suspicion)] = []
    /// The others in the order in which they are probed, shuffled once a round.
    var probeOrder: [NodeID] = []
    var probeIndex = 0
    /// Probes under way, at most one of each member.
    var probes: [Probe] = []
    var relayed: [RelayedProbe] = []
    /// What this agent itself sees of the members that are present; sorted by id.
    package internal(set) var contacts: [Contact] = []
    var isListening = false
    /// The period and the interval of syncs are long, because others watch over everybody.
    var isResting = false
    /// When what another believes was last compared because its digest was another one.
    var lastComparison: Instant?
    /// How many probes came back late, of the last ones: 0 where the network loses nothing.
    var lateShare = 0.0
    /// When each timer is due, to see that this agent stood still.
    var dues = TimerTable<SWIMTimer, Instant>()
    /// Until when this agent accuses nobody, because it stood still itself.
    var accusesFrom = Instant.origin
    /// When it last noticed that it had stood still.
    var stoodStillUntil = Instant.origin
    /// When it last looked for the fault of a mass death at home.
    var doubtedAt: Instant?
    var nextNumber: UInt32
    /// 0 when this agent has no reason to doubt itself (Lifeguard §3.1).
    package internal(set) var localHealth = 0
    var seeds: [Endpoint] = []
    /// Where members were that died and were forgotten, the latest last.
    var lost: [Endpoint] = []
    var seedDelay: Duration
    var isGossiping = false
    var isLeaving = false
    var lastIntroduction: Instant?

    /// A probe that this agent makes for itself.
    struct Probe {
        let number: UInt32
        let target: NodeID
        let sentAt: Instant
        /// Others were asked, too.
        var isIndirect = false
        /// Who was asked to probe too, and has not even said that it could not.
        var silentRelays: [NodeID] = []
        /// Who was asked and could not reach it either.
        var nackers: [NodeID] = []
        var datagramRefused = false
        var streamRefused = false
        var hostAnswers = false
        /// Evidence came after the ping was sent: its answer may be older.
        var isOvertaken = false
    }

    /// A probe that this agent makes for somebody else.
    struct RelayedProbe {
        let number: UInt32
        let target: NodeID
        let requestNumber: UInt32
        let requester: Endpoint
    }

    /// How many probes are made for others at a time; more are ignored, and nacked by nobody.
    static let relayLimit = 64
    /// How many members are probed at a time for this agent itself.
    static let probeLimit = 64
    /// How many seeds are kept.
    static let seedLimit = 64

    /// A machine that knows nobody yet.
    ///
    /// The incarnation must be higher than any that this identity used before; all random choices
    /// follow from the seed.
    package init(
        id: NodeID,
        endpoint: Endpoint,
        incarnation: UInt64,
        facts: DeviceFacts,
        configuration: SWIMConfiguration = SWIMConfiguration(),
        seed: UInt64
    ) {
        own = Member(id: id, endpoint: endpoint, incarnation: incarnation, facts: facts)
        self.configuration = configuration
        generator = SeededGenerator(seed: seed)
        seedDelay = configuration.seedInterval
        // Numbers of an earlier life must not match: late acks would answer new probes.
        nextNumber = UInt32(truncatingIfNeeded: generator.next())
    }

    package mutating func handle(
        _ input: SWIMInput,
        at now: Instant,
        effects: inout [SWIMEffect]
    ) {
        let before = effects.count
        defer { noteTimers(of: effects, from: before, at: now) }
        switch input {
        case .start(let seeds): start(seeds, at: now, &effects)
        case .message(let message, let sender, let source):
            receive(message, from: sender, source: source, at: now, &effects)
        case .synced(let updates): mergeSync(updates, at: now, &effects)
        case .sighted(let endpoint): sighted(endpoint, &effects)
        case .heard(let id): heard(id, at: now, &effects)
        case .awaits(let id): awaitAnswer(of: id, at: now, &effects)
        case .streamAnswered(let number): answered(number, from: nil, at: now, &effects)
        case .streamOpened(let number): hostAnswered(number)
        case .streamRefused(let number): streamRefused(number, at: now, &effects)
        case .evidence(let evidence, let id): suspects(id, on: evidence, at: now, &effects)
        case .watch(let id, let stands): updateContact(id) { $0.isWatched = stands }
        case .timer(let timer): fired(timer, at: now, &effects)
        case .facts(let facts): stateFacts(facts, &effects)
        case .moved(let endpoint): move(to: endpoint, &effects)
        case .leave: leave(&effects)
        }
        if isResting, input.mayDisturb, !isQuiet { endRest(at: now, &effects) }
    }

    /// Every member known, this agent included, sorted by id.
    package var view: [Member] { others.with(own) }

    package func member(_ id: NodeID) -> Member? {
        id == own.id ? own : others.member(id)
    }

    /// What is believed of a member, this agent included; nil of whoever is unknown.
    func state(of id: NodeID) -> MemberState? {
        id == own.id ? own.state : others.state(of: id)
    }

    /// How many members take part, this agent included.
    package var presentCount: Int { others.presentCount + 1 }

    /// Everything this agent believes, for a member that compares notes.
    package var fullState: [MemberUpdate] {
        view.map { member in update(of: member) }
    }

    private mutating func noteTimers(
        of effects: [SWIMEffect],
        from first: Int,
        at now: Instant
    ) {
        for index in first..<effects.count {
            switch effects[index] {
            case .setTimer(let timer, let delay): dues.set(timer, now + delay)
            case .cancelTimer(let timer): _ = dues.remove(timer)
            case .send, .streamPing, .sync, .persist, .emit: break
            }
        }
    }

    // MARK: - Inputs

    private mutating func start(
        _ seeds: [Endpoint],
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        own.since = now
        effects.append(.persist(incarnation: own.incarnation))
        announceSelf(&effects)
        // A random first delay keeps agents that start together from probing in step.
        let firstProbe = configuration.period.scaled(by: generator.fraction())
        effects.append(.setTimer(.period, after: firstProbe))
        // Sooner than later ones: where many join at once, gossip leaves gaps.
        effects.append(.setTimer(.sync, after: jittered(configuration.firstSyncDelay)))
        effects.append(.setTimer(.reconnect, after: jittered(configuration.reconnectInterval)))
        self.seeds = Array(seeds.filter { $0 != own.endpoint }.prefix(Self.seedLimit))
        askSeeds(&effects)
    }

    private mutating func receive(
        _ message: GossipMessage,
        from sender: NodeID,
        source: Endpoint,
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        guard sender != own.id else {
            if source != own.endpoint { effects.append(.emit(.duplicateIdentity(source))) }
            return
        }
        switch message {
        case .ping(let number, let target):
            // A probe meant for who had this address before must not be answered in their name.
            guard target == own.id else { return }
            send(held(against: sender) + [.ack(number: number)], to: source, &effects)
            introduce(sender, at: source, now: now, &effects)
        case .ack(let number): answered(number, from: sender, at: now, &effects)
        case .pingRequest(let number, let target, let endpoint):
            relay(number, target: target, at: endpoint, for: source, &effects)
        case .nack(let number): nacked(number, by: sender, at: now, &effects)
        case .update(let update): merge(update, at: now, &effects)
        case .digest(let digest): compare(digest, of: sender, at: source, now, &effects)
        }
    }

    private mutating func fired(
        _ timer: SWIMTimer,
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        noticeLag(of: timer, at: now, &effects)
        switch timer {
        case .period: beginPeriod(at: now, &effects)
        case .probeTimeout(let number):
            pingAgain(number, &effects)
            probeIndirectly(number, &effects)
        case .probeFailure(let number): failed(number, at: now, &effects)
        case .secondLook(let id), .lookAtHeard(let id): lookAgain(at: id, now, &effects)
        case .silence: listen(at: now, &effects)
        case .relayTimeout(let number): giveUpRelay(number, &effects)
        case .gossip: gossip(at: now, &effects)
        case .sync: syncWithAnyone(&effects)
        case .reconnect: reconnect(at: now, &effects)
        case .seeds: askSeeds(&effects)
        case .suspicion(let id): suspicionEnded(id, at: now, &effects)
        case .goodbye:
            if isLeaving { effects.append(.emit(.goodbyeSpread)) }
        }
    }

    private mutating func stateFacts(_ facts: DeviceFacts, _ effects: inout [SWIMEffect]) {
        guard facts != own.facts else { return }
        own.facts = facts
        own.factsVersion += 1
        announceSelf(&effects)
        effects.append(.emit(.factsChanged(own)))
    }

    private mutating func leave(_ effects: inout [SWIMEffect]) {
        guard !isLeaving else { return }
        isLeaving = true
        own.state = .left
        guard presentCount > 1 else {
            effects.append(.emit(.goodbyeSpread))
            return
        }
        announceSelf(&effects)
        effects.append(.setTimer(.goodbye, after: configuration.gossipInterval * 4))
    }

    /// Within a quarter of the interval, so that members do not act in step.
    mutating func jittered(_ interval: Duration) -> Duration {
        interval.scaled(by: 0.75 + generator.fraction() / 2)
    }
}
