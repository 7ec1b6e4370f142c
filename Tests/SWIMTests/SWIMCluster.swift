import Primitives
import Testing
import VirtualTime

@testable import SWIM

/// Several membership machines on a virtual clock, with datagrams that get lost and streams.
final class SWIMCluster {
    struct Node {
        var machine: SWIMMachine
        var isRunning = false
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
        case streamAnswered(UInt32, node: Int, life: Int)
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
        nodes[index].timers = [:]
        handle(.start(seeds: seeds.map(Self.endpoint)), at: index)
    }

    func startAll() {
        for index in nodes.indices { start(index) }
    }

    func kill(_ index: Int) {
        nodes[index].isRunning = false
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

    private func happen(_ what: Happening) {
        switch what {
        case .datagram(let messages, let from, let to):
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
        case .streamAnswered(let number, let node, let life):
            if nodes[node].life == life { handle(.streamAnswered(number: number), at: node) }
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
            guard let to = node(at: endpoint), nodes[to].isRunning, Self.id(to) == target,
                passes(index, to, .stream), passes(to, index, .stream)
            else { return }
            schedule.add(
                .streamAnswered(number, node: index, life: nodes[index].life),
                at: now + generator.duration(in: latency) * 2
            )
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
