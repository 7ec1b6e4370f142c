import EventLoop
import LayerPlacement
import LeaderElection
package import Primitives
package import SWIM
import Wire

/// Carries the SWIM machine: its datagrams and streams are the agent's own address.
package actor Membership {
    nonisolated let world: World
    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        world.loop.executor
    }

    let keeper: StateKeeper
    let cluster: UInt64
    private nonisolated let reader: DatagramReader
    var machine: SWIMMachine
    private var timers: LoopTimers<SWIMTimer>
    private var barrier = WriteBarrier<SWIMEffect>()
    /// What streams are to tell once it is on disk.
    private var waiting: [() -> Void] = []
    /// Something was told that others decide by.
    private var hasNews = false
    /// In a large cluster: it is passed on in a moment.
    private var isNewsDue = false
    /// A datagram is being taken; its news are passed on together.
    private var isTaking = false
    /// Never, but for the mutant `goesDeaf`.
    private var isDeaf = false
    private var sendBuffer: [UInt8] = []
    /// Used again and again; a machine that is driven while effects are performed takes another.
    private var spareEffects: [SWIMEffect] = []
    private var peers: Peers?
    /// What was last measured of this device, and whether it takes no work all the same.
    var measuredFacts: DeviceFacts
    var isDrained: Bool
    var streams: [UInt64: OpenStream] = [:]
    var nextStream: UInt64 = 0
    /// Streams that members were asked to open.
    var awaited: [UInt64: AwaitedDial] = [:]
    var nextDialBack: UInt64 = 0
    /// Who hears of streams that members opened because they were asked to.
    var handedOver: [UInt64: @Sendable (StreamEvent) -> Void] = [:]
    /// Members between whom and this agent idle streams are kept; sorted by id.
    var watches: [Watch] = []
    var isTending = false
    /// Who could be dialled, and who dialled, as far as was seen; sorted by id.
    package internal(set) var reaches: [Reach] = []
    /// When the next stream may be tried for no other reason than to see whether it can be.
    var nextTrial = Instant.origin

    /// The actors that membership passes messages and news to.
    final class Peers: Sendable {
        let election: Election
        let placement: Placement
        let services: any ServiceDoor

        init(election: Election, placement: Placement, services: any ServiceDoor) {
            self.election = election
            self.placement = placement
            self.services = services
        }
    }

    /// - Parameters:
    ///   - measured: what is told of this device while it is not drained.
    ///   - isDrained: it was when its last life ended.
    init(
        world: World,
        keeper: StateKeeper,
        machine: SWIMMachine,
        cluster: UInt64,
        measured: DeviceFacts,
        isDrained: Bool
    ) {
        self.world = world
        self.keeper = keeper
        self.machine = machine
        self.cluster = cluster
        reader = DatagramReader(cluster: cluster, facts: world.facts)
        measuredFacts = measured
        self.isDrained = isDrained
        timers = LoopTimers(loop: world.loop)
        sendBuffer.reserveCapacity(Datagram.byteLimit)
    }

    func introduce(_ peers: Peers?) {
        self.peers = peers
        // An agent that stays alone hears no news of members, and still has to elect itself.
        viewChanged()
    }

    /// Streams hold this actor for what they still have to tell.
    func dismantle() {
        introduce(nil)
        streams = [:]
    }

    var services: (any ServiceDoor)? { peers?.services }

    package func handle(_ input: SWIMInput) {
        var effects = spareEffects
        spareEffects = []
        machine.handle(input, at: world.loop.now, effects: &effects)
        world.witness?.handled(input, at: world.loop.now, effects: effects)
        perform(effects)
        effects.removeAll(keepingCapacity: effects.capacity <= Self.spareEffectLimit)
        spareEffects = effects
    }

    private static let spareEffectLimit = 64

    /// Sends a message of another actor to a member; who is unknown or gone gets none.
    func send(_ message: Message, to node: NodeID) {
        guard node != machine.own.id, let endpoint = machine.others.endpoint(of: node) else {
            return
        }
        transmit(message, to: endpoint)
        if case .election(let message) = message, message.isHeartbeat { handle(.awaits(node)) }
    }

    /// Sends a message to every present member.
    func broadcast(_ message: Message) {
        for member in machine.others where member.state.isPresent {
            transmit(message, to: member.endpoint)
        }
    }

    private func perform(_ effects: [SWIMEffect]) {
        for effect in effects {
            if barrier.isClosed { barrier.hold(effect) } else { perform(effect) }
        }
        if !isTaking { passNews() }
    }

    /// Passes news on, once for all that came together: a first sync tells of a whole cluster.
    private func passNews() {
        guard hasNews, !isNewsDue else { return }
        guard machine.others.presentCount >= machine.configuration.crowdLimit else {
            hasNews = false
            viewChanged()
            return
        }
        // Whoever decides by the members looks at all of them: in a large cluster that forms, news
        // comes with every datagram.
        isNewsDue = true
        world.loop.schedule(after: crowdNewsDelay) { [self] in
            assumeIsolated { membership in
                membership.isNewsDue = false
                membership.hasNews = false
                membership.viewChanged()
            }
        }
    }

    /// The more there are to look at, the more rarely.
    private var crowdNewsDelay: Duration {
        let factor = machine.others.presentCount / Self.crowdNewsCount + 1
        return .milliseconds(200) * min(factor, Self.crowdNewsFactorLimit)
    }

    private static let crowdNewsCount = 64
    private static let crowdNewsFactorLimit = 5

    private func perform(_ effect: SWIMEffect) {
        switch effect {
        case .send(let messages, let endpoint):
            beginDatagram()
            for message in messages { Datagram.append(message, to: &sendBuffer) }
            world.datagrams.send(sendBuffer.span, to: endpoint)
        case .streamPing(let number, let target, let endpoint):
            open(.ping(number: number, target: target), to: endpoint)
        case .sync(let endpoint): open(.sync, to: endpoint)
        case .setTimer(let timer, let delay):
            timers.set(timer, after: delay) { [self] in isDue(timer) }
        case .cancelTimer(let timer): timers.cancel(timer)
        case .persist(let incarnation):
            barrier.close()
            keeper.assumeIsolated { keeper in
                keeper.update({ $0.incarnation = max($0.incarnation, incarnation) }) { [self] in
                    assumeIsolated { $0.persisted() }
                }
            }
        case .emit(let event): tell(event)
        }
    }

    private func persisted() {
        perform(barrier.open())
        guard !barrier.isClosed else { return }
        let actions = waiting
        waiting = []
        for action in actions { action() }
    }

    /// Does something as soon as everything that this agent believes of itself is on disk.
    ///
    /// Streams do not pass the effects' barrier, and would tell others of an incarnation that a
    /// power cut could still take back.
    func whenDurable(_ action: @escaping () -> Void) {
        if barrier.isClosed { waiting.append(action) } else { action() }
    }

    func fired(_ timer: SWIMTimer) {
        timers.fired(timer)
        handle(.timer(timer))
    }

    private func transmit(_ message: Message, to endpoint: Endpoint) {
        beginDatagram()
        Datagram.append(message, to: &sendBuffer)
        world.datagrams.send(sendBuffer.span, to: endpoint)
    }

    /// Every datagram begins with the same bytes, which stay in the buffer.
    private func beginDatagram() {
        guard sendBuffer.count < WireHeader.byteCount else {
            sendBuffer.removeLast(sendBuffer.count - WireHeader.byteCount)
            return
        }
        let header = WireHeader(cluster: cluster, sender: machine.own.id)
        Datagram.begin(header, in: &sendBuffer)
    }

    private func tell(_ event: SWIMEvent) {
        if world.observer.readsWords {
            if let record = event.record { world.observer.log(record) }
        } else if let record = event.bareRecord {
            world.observer.log(record)
        }
        if event == .goodbyeSpread { world.observer.goodbyeSpread() }
        hasNews = true
    }

    /// Passes the present members on to whoever decides by them.
    func viewChanged() {
        let others = machine.others
        let own = machine.own
        peers?.election.assumeIsolated { $0.membersChanged(others, own) }
        peers?.placement.assumeIsolated { $0.membersChanged(others, own) }
        rememberPeers(others)
        tendWatchesSoon()
        world.observer.changed()
    }

    private func rememberPeers(_ others: MemberTable) {
        var peers: [Endpoint] = []
        for place in others.indices where others[place].state.isPresent {
            peers.append(others[place].endpoint)
            if peers.count == DurableRecord.peerLimit { break }
        }
        guard !peers.isEmpty else { return }
        keeper.assumeIsolated { keeper in
            guard keeper.record.peers != peers else { return }
            keeper.update({ $0.peers = peers }, completion: {})
        }
    }
}

extension Datagram {
    /// Whether it was sent to everybody.
    fileprivate var isBeacon: Bool {
        if case .beacon? = messages.first { true } else { false }
    }
}

extension Membership: DatagramReceiver {
    package nonisolated func receive(_ bytes: Span<UInt8>, from source: Endpoint) {
        let datagram: Datagram
        do throws(WireError) {
            datagram = try reader.read(bytes)
        } catch {
            if Mutant.goesDeaf.isPlanted { assumeIsolated { $0.isDeaf = true } }
            world.observer.refused(
                "datagram.\(error.reason)",
                detail: "\(bytes.count) bytes from \(source): \(error)"
            )
            return
        }
        receive(datagram, from: source)
    }

    package nonisolated func refused(by destination: Endpoint) {
        assumeIsolated { membership in
            let accused = membership.machine.others.first {
                $0.endpoint == destination && $0.state.isPresent
            }
            if let accused { membership.handle(.evidence(.refused, about: accused.id)) }
        }
    }

    /// What datagrams of this cluster are marked with.
    package nonisolated var clusterTag: UInt64 { cluster }

    func take(_ datagram: Datagram, from source: Endpoint) {
        if isDeaf { return }
        if datagram.unknownCount > 0 {
            world.observer.refused(
                "message.unknownKind",
                detail: "\(datagram.unknownCount) from \(source)"
            )
        }
        let sender = datagram.header.sender
        isTaking = true
        defer {
            isTaking = false
            passNews()
        }
        // A datagram without messages still tells who is there. A beacon passes where nothing else
        // does.
        if !datagram.isBeacon { handle(.heard(sender)) }
        for message in datagram.messages {
            switch message {
            case .gossip(let gossip):
                if case .ack = gossip { noteAnswer(of: sender) }
                handle(.message(gossip, from: sender, source: source))
            case .election(let message):
                guard isPresent(sender) else { continue }
                passNews()
                peers?.election.take(message, from: sender)
            case .placement(let message):
                guard isPresent(sender) else { continue }
                passNews()
                peers?.placement.take(message, from: sender)
            case .beacon(let endpoint):
                guard sender != machine.own.id else { continue }
                handle(.sighted(endpoint))
            }
        }
    }

    /// Only members that take part are heard in elections and placement; others join first.
    func isPresent(_ node: NodeID) -> Bool {
        node == machine.own.id ? machine.own.state.isPresent : machine.others.isPresent(node)
    }
}
