import Primitives
import Testing
import VirtualTime

@testable import SWIM

/// Several membership machines on a virtual clock, with datagrams that get lost and streams.
final class SWIMCluster {
    struct Node {
        var machine: SWIMMachine
        var isRunning = false
        /// Its process died on a living host, which says so to whoever asks.
        var refuses = false
        /// It does not run for a while: timers come late, and what arrives waits behind them.
        var isStalled = false
        /// Which life it lives; what was meant for an earlier one does not arrive.
        var life = 0
        var timers: [SWIMTimer: Int] = [:]
        var events: [(at: Instant, event: SWIMEvent)] = []
        /// The incarnation on disk.
        var persisted: UInt64 = 0
    }

    enum Channel { case datagram, stream }

    private enum Happening {
        case datagram([GossipMessage], from: Int, to: Int)
        case timer(SWIMTimer, of: Int, life: Int, token: Int)
        case synced([MemberUpdate], from: Int, to: Int, isAnswer: Bool)
        case input(SWIMInput, node: Int, life: Int)
        case beat(from: Int)
    }

    var nodes: [Node] = []
    private(set) var now = Instant.origin
    var loss = 0.0
    var latency: ClosedRange<Duration> = .milliseconds(1)...(.milliseconds(10))
    /// Whether something from the first node reaches the second.
    var passes: (_ from: Int, _ to: Int, Channel) -> Bool = { _, _, _ in true }
    private(set) var largestDatagram = 0
    private(set) var datagramCount = 0
    private(set) var streamPingCount = 0
    private var schedule = Schedule<Happening>()
    private var delayed: [(node: Int, isTimer: Bool, what: Happening)] = []
    private var generator: SeededGenerator
    private let configuration: SWIMConfiguration
    private var nextToken = 0

    init(
        count: Int,
        seed: UInt64,
        configuration: SWIMConfiguration = SWIMConfiguration(),
        facts: (Int) -> DeviceFacts = { DeviceFacts(name: "device \($0)") }
    ) {
        generator = SeededGenerator(seed: seed)
        self.configuration = configuration
        for index in 0..<count {
            let machine = SWIMMachine(
                id: Self.id(index),
                endpoint: Self.endpoint(index),
                incarnation: 1,
                facts: facts(index),
                configuration: configuration,
                seed: generator.next()
            )
            nodes.append(Node(machine: machine))
        }
    }

    static func id(_ index: Int) -> NodeID { NodeID(UInt128(index + 1)) }

    static func endpoint(_ index: Int) -> Endpoint {
        Endpoint(
            address: .v4(0x7F00_0001 + UInt32(index)),
            port: 7000
        )
    }

    /// Starts a node; a second start is a restart with the incarnation from disk, raised.
    func start(_ index: Int, seeds: [Int] = [0]) {
        if nodes[index].life > 0 {
            nodes[index].machine = SWIMMachine(
                id: Self.id(index),
                endpoint: Self.endpoint(index),
                incarnation: nodes[index].persisted + 1,
                facts: nodes[index].machine.own.facts,
                configuration: configuration,
                seed: generator.next()
            )
        }
        nodes[index].life += 1
        nodes[index].isRunning = true
        nodes[index].refuses = false
        nodes[index].timers = [:]
        handle(.start(seeds: seeds.map(Self.endpoint)), at: index)
    }

    func startAll() {
        for index in nodes.indices { start(index) }
    }

    /// Its host goes dark.
    func kill(_ index: Int) {
        nodes[index].isRunning = false
    }

    /// Its process dies, and its system ends the streams to all others and refuses what comes.
    func crash(_ index: Int) {
        kill(index)
        nodes[index].refuses = true
        for other in nodes.indices where other != index && nodes[other].isRunning {
            tell(.evidence(.streamEnded, about: Self.id(index)), to: other)
        }
    }

    /// A master's heartbeats, and the answers to them, which are datagrams of other kinds.
    func beat(every interval: Duration, from master: Int, for duration: Duration) {
        for step in 0..<Int(duration / interval) {
            schedule.add(.beat(from: master), at: now + interval * step)
        }
    }

    /// An input that arrives after the way of a packet.
    func tell(_ input: SWIMInput, to index: Int, trips: Int = 1) {
        schedule.add(
            .input(input, node: index, life: nodes[index].life),
            at: now + generator.duration(in: latency) * trips
        )
    }

    /// Every two keep an idle stream.
    func watchAll() {
        for index in nodes.indices {
            for other in nodes.indices where other != index {
                handle(.watch(Self.id(other), stands: true), at: index)
            }
        }
    }

    func run(for duration: Duration) {
        run(for: duration) { _ in false }
    }

    /// Runs until the condition holds; the time that it took, or nil if it never held.
    @discardableResult
    func run(for duration: Duration, until isDone: (SWIMCluster) -> Bool) -> Duration? {
        let start = now
        let end = now + duration
        while let next = schedule.next, next <= end {
            guard let (at, what) = schedule.pop() else { break }
            now = at
            happen(what)
            if isDone(self) { return now - start }
        }
        now = end
        return nil
    }

    /// Stops a process without a word of its system, as SIGSTOP does.
    func stall(_ index: Int) {
        nodes[index].isStalled = true
    }

    func resume(_ index: Int) {
        nodes[index].isStalled = false
        let waiting = delayed.filter { $0.node == index }
        delayed.removeAll { $0.node == index }
        // As the real loop does: what is due first, then what has arrived.
        for isTimer in [true, false] {
            for entry in waiting where entry.isTimer == isTimer { happen(entry.what) }
        }
    }

    private func delays(_ what: Happening) -> Bool {
        let (node, isTimer) =
            switch what {
            case .datagram(_, _, let to): (to, false)
            case .timer(_, let node, _, _): (node, true)
            case .synced(_, _, let to, _): (to, false)
            case .input(_, let node, _): (node, false)
            case .beat(let master): (master, false)
            }
        guard nodes[node].isStalled, nodes[node].isRunning else { return false }
        delayed.append((node, isTimer, what))
        return true
    }

    private func happen(_ what: Happening) {
        guard !delays(what) else { return }
        switch what {
        case .datagram(let messages, let from, let to):
            guard nodes[to].isRunning else {
                if nodes[to].refuses, passes(to, from, .datagram) {
                    tell(.evidence(.refused, about: Self.id(to)), to: from)
                }
                return
            }
            handle(.heard(Self.id(from)), at: to)
            for message in messages where nodes[to].isRunning {
                let input = SWIMInput.message(
                    message,
                    from: Self.id(from),
                    source: Self.endpoint(from)
                )
                handle(input, at: to)
            }
        case .timer(let timer, let node, let life, let token):
            guard nodes[node].life == life, nodes[node].timers[timer] == token else { return }
            nodes[node].timers[timer] = nil
            handle(.timer(timer), at: node)
        case .synced(let updates, let from, let to, let isAnswer):
            guard nodes[to].isRunning, passes(from, to, .stream), passes(to, from, .stream) else {
                return
            }
            if !isAnswer {
                let answer = Happening.synced(
                    nodes[to].machine.fullState,
                    from: to,
                    to: from,
                    isAnswer: true
                )
                schedule.add(answer, at: now + generator.duration(in: latency))
            }
            handle(.synced(updates), at: to)
        case .beat(let master):
            for follower in nodes.indices where follower != master && nodes[master].isRunning {
                handle(.awaits(Self.id(follower)), at: master)
                guard nodes[follower].isRunning, passes(master, follower, .datagram),
                    passes(follower, master, .datagram)
                else { continue }
                tell(.heard(Self.id(master)), to: follower)
                tell(.heard(Self.id(follower)), to: master, trips: 2)
            }
        case .input(let input, let node, let life):
            if nodes[node].life == life { handle(input, at: node) }
        }
    }

    func handle(_ input: SWIMInput, at index: Int) {
        guard nodes[index].isRunning else { return }
        let before = nodes[index].machine.own.incarnation
        var effects: [SWIMEffect] = []
        nodes[index].machine.handle(input, at: now, effects: &effects)
        #expect(nodes[index].machine.own.incarnation >= before)
        for effect in effects { perform(effect, of: index) }
    }

    private func perform(_ effect: SWIMEffect, of index: Int) {
        switch effect {
        case .send(let messages, let endpoint):
            let byteCount = messages.reduce(SWIMMachine.headerByteCount) { $0 + $1.byteCount }
            largestDatagram = max(largestDatagram, byteCount)
            datagramCount += 1
            guard let to = node(at: endpoint), passes(index, to, .datagram),
                generator.fraction() >= loss
            else { return }
            schedule.add(
                .datagram(messages, from: index, to: to),
                at: now + generator.duration(in: latency)
            )
        case .streamPing(let number, let target, let endpoint):
            streamPingCount += 1
            guard let to = node(at: endpoint), Self.id(to) == target,
                passes(index, to, .stream), passes(to, index, .stream)
            else { return }
            if nodes[to].isRunning {
                tell(.streamOpened(number: number), to: index, trips: 2)
                if !nodes[to].isStalled {
                    tell(.streamAnswered(number: number), to: index, trips: 4)
                }
            } else if nodes[to].refuses {
                tell(.streamRefused(number: number), to: index, trips: 2)
            }
        case .sync(let endpoint):
            guard let to = node(at: endpoint) else { return }
            schedule.add(
                .synced(nodes[index].machine.fullState, from: index, to: to, isAnswer: false),
                at: now + generator.duration(in: latency)
            )
        case .setTimer(let timer, let delay):
            nextToken += 1
            nodes[index].timers[timer] = nextToken
            schedule.add(
                .timer(timer, of: index, life: nodes[index].life, token: nextToken),
                at: now + delay
            )
        case .cancelTimer(let timer): nodes[index].timers[timer] = nil
        case .persist(let incarnation):
            #expect(incarnation > nodes[index].persisted)
            nodes[index].persisted = incarnation
        case .emit(let event): nodes[index].events.append((now, event))
        }
    }

    private func node(at endpoint: Endpoint) -> Int? {
        nodes.indices.first { Self.endpoint($0) == endpoint }
    }
}

// Questions.
extension SWIMCluster {
    var running: [Int] { nodes.indices.filter { nodes[$0].isRunning } }

    func state(of member: Int, seenBy index: Int) -> MemberState? {
        nodes[index].machine.member(Self.id(member))?.state
    }

    /// Whether every one of these sees exactly these as alive.
    func agree(_ side: [Int]) -> Bool {
        side.allSatisfy { index in
            nodes[index].machine.view.filter { $0.state.isPresent }.map(\.id)
                == side.map(Self.id)
                && side.allSatisfy { state(of: $0, seenBy: index) == .alive }
        }
    }

    var allAgree: Bool { agree(running) }

    func isGone(_ member: Int, as state: MemberState = .dead) -> Bool {
        running.allSatisfy { self.state(of: member, seenBy: $0) == state }
    }

    /// Deaths that were declared, by anyone, of members for which the condition holds.
    func deaths(where isAsked: (NodeID) -> Bool) -> [SWIMEvent] {
        nodes.flatMap { node in
            node.events.map(\.event).filter { event in
                if case .died(let member, _) = event { return isAsked(member.id) }
                return false
            }
        }
    }

    func suspicions(where isAsked: (NodeID) -> Bool) -> Int {
        nodes.flatMap { $0.events }.count { event in
            if case .suspected(let member, _) = event.event { return isAsked(member.id) }
            return false
        }
    }

    func forgetEvents() {
        for index in nodes.indices { nodes[index].events = [] }
    }
}
