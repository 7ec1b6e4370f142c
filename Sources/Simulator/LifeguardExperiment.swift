import Primitives
package import SWIM

/// Many members of which some stand still again and again, to see who is taken for dead wrongly.
///
/// So the Lifeguard paper tests its detector (arXiv 1707.00788 §V). The machines are the product's;
/// around them are only virtual time, datagrams that take a moment, and streams.
package struct LifeguardExperiment: Sendable {
    /// What standing still is.
    package enum Anomaly: String, Sendable, CaseIterable {
        /// As in the paper: a member blocks before it sends and after it receives, and its timers
        /// go on. It hears nobody, and what it says comes when the anomaly is over.
        case blocked
        /// As under SIGSTOP: timers come late, too. In both its system takes streams on which
        /// nobody answers.
        case stopped
    }

    package var anomaly = Anomaly.blocked
    package var memberCount = 128
    /// How many members stand still, all of them in step.
    package var concurrency: Int
    /// How long they stand still each time, and run in between.
    package var duration: Duration
    package var interval: Duration
    /// Whether they stand still once and for good instead, to see how soon it is noticed.
    package var isPermanent = false
    package var length: Duration = .seconds(120)
    package var configuration: SWIMConfiguration
    package var seed: UInt64

    /// How long members have to find each other before anybody stands still.
    private static let settling: Duration = .seconds(15)

    package init(
        concurrency: Int,
        duration: Duration,
        interval: Duration,
        configuration: SWIMConfiguration,
        seed: UInt64
    ) {
        self.concurrency = concurrency
        self.duration = duration
        self.interval = interval
        self.configuration = configuration
        self.seed = seed
    }

    package struct Outcome: Sendable {
        /// How often a member that never stood still was declared dead, and how often by one that
        /// never stood still either (the paper's FP and FP-).
        package var falsePositives = 0
        package var falsePositivesAtHealthy = 0
        /// From the moment of standing still until the first healthy member knew, and until each.
        package var firstDetections: [Duration] = []
        package var detections: [Duration] = []
        package var datagramCount = 0
    }

    package func run() -> Outcome {
        let field = Field(self)
        let start = Instant.origin + Self.settling
        field.startAll()
        field.run(until: start)
        field.beginCounting()
        let end = start + length
        if isPermanent {
            for index in 0..<concurrency { field.block(index) }
            field.run(until: end)
        } else {
            var now = start
            while now < end {
                for index in 0..<concurrency { field.block(index) }
                now += duration
                field.run(until: min(now, end))
                for index in 0..<concurrency { field.unblock(index) }
                now += interval
                field.run(until: min(now, end))
            }
            // What was begun comes to its end.
            field.run(until: end + .seconds(30))
        }
        return field.outcome
    }
}

/// The members and what is between them.
private final class Field {
    private enum Happening {
        case datagram([GossipMessage], from: Int)
        case input(SWIMInput)
        case timer(SWIMTimer, token: UInt64)
        case syncRequest([MemberUpdate], from: Int)
    }

    private struct Entry {
        let time: Instant
        let order: UInt64
        let node: Int
        let what: Happening
    }

    private struct Node {
        var machine: SWIMMachine
        var timers: [SWIMTimer: UInt64] = [:]
        var blockedSince: Instant?
        var delayedTimers: [Happening] = []
        var delayed: [Happening] = []
        /// What a blocked member wants to send.
        var unsent: [SWIMEffect] = []
    }

    private let experiment: LifeguardExperiment
    private var nodes: [Node] = []
    private var heap: [Entry] = []
    private var order: UInt64 = 0
    private var now = Instant.origin
    private var generator: SeededGenerator
    private var isCounting = false
    /// Which standing still of a member was noticed already.
    private var noticed: [Int: Instant] = [:]
    private(set) var outcome = LifeguardExperiment.Outcome()

    private static let firstAddress: UInt32 = 0x0A00_0001
    private static let port: UInt16 = 52414
    private static let latency = Duration.microseconds(200)...Duration.milliseconds(2)

    init(_ experiment: LifeguardExperiment) {
        self.experiment = experiment
        generator = SeededGenerator(seed: experiment.seed)
        for index in 0..<experiment.memberCount {
            let machine = SWIMMachine(
                id: Self.id(index),
                endpoint: Self.endpoint(index),
                incarnation: 1,
                facts: DeviceFacts(name: "m\(index)"),
                configuration: experiment.configuration,
                seed: generator.next()
            )
            nodes.append(Node(machine: machine))
        }
    }

    private static func id(_ index: Int) -> NodeID { NodeID(UInt128(index + 1)) }

    private static func index(of id: NodeID, _ count: Int) -> Int? {
        (0..<count).first { Self.id($0) == id }
    }

    private static func endpoint(_ index: Int) -> Endpoint {
        Endpoint(address: .v4(firstAddress + UInt32(index)), port: port)
    }

    private func index(at endpoint: Endpoint) -> Int? {
        guard case .v4(let bits) = endpoint.address else { return nil }
        let index = Int(bits) - Int(Self.firstAddress)
        return nodes.indices.contains(index) ? index : nil
    }

    func startAll() {
        // All know all, as after a first sync: joining is not what is tested.
        let everybody = nodes.flatMap(\.machine.fullState)
        for index in nodes.indices {
            handle(.start(seeds: []), at: index)
            handle(.synced(everybody), at: index)
        }
    }

    func beginCounting() { isCounting = true }

    func block(_ index: Int) { nodes[index].blockedSince = now }

    func unblock(_ index: Int) {
        nodes[index].blockedSince = nil
        let timers = nodes[index].delayedTimers
        let rest = nodes[index].delayed
        nodes[index].delayedTimers = []
        nodes[index].delayed = []
        let unsent = nodes[index].unsent
        nodes[index].unsent = []
        for effect in unsent { perform(effect, of: index) }
        // As the real loop does: what is due first, then what has arrived.
        for what in timers + rest { happen(what, at: index) }
    }

    func run(until end: Instant) {
        while let first = heap.first, first.time <= end {
            let entry = pop()
            now = entry.time
            if nodes[entry.node].blockedSince != nil {
                if case .timer = entry.what {
                    if experiment.anomaly == .blocked {
                        happen(entry.what, at: entry.node)
                    } else {
                        nodes[entry.node].delayedTimers.append(entry.what)
                    }
                } else if nodes[entry.node].delayed.count < 4096 {
                    nodes[entry.node].delayed.append(entry.what)
                }
            } else {
                happen(entry.what, at: entry.node)
            }
        }
        now = end
    }

    private func happen(_ what: Happening, at index: Int) {
        switch what {
        case .datagram(let messages, let from):
            handle(.heard(Self.id(from)), at: index)
            for message in messages {
                handle(
                    .message(message, from: Self.id(from), source: Self.endpoint(from)),
                    at: index
                )
            }
        case .input(let input): handle(input, at: index)
        case .timer(let timer, let token):
            guard nodes[index].timers[timer] == token else { return }
            nodes[index].timers[timer] = nil
            handle(.timer(timer), at: index)
        case .syncRequest(let updates, let from):
            handle(.synced(updates), at: index)
            later(.input(.synced(nodes[index].machine.fullState)), to: from)
        }
    }

    private func handle(_ input: SWIMInput, at index: Int) {
        var effects: [SWIMEffect] = []
        nodes[index].machine.handle(input, at: now, effects: &effects)
        for effect in effects { perform(effect, of: index) }
    }

    private func perform(_ effect: SWIMEffect, of index: Int) {
        switch effect {
        case .send, .streamPing, .sync:
            if nodes[index].blockedSince != nil {
                nodes[index].unsent.append(effect)
                return
            }
        default: break
        }
        switch effect {
        case .send(let messages, let endpoint):
            outcome.datagramCount += isCounting ? 1 : 0
            guard let to = self.index(at: endpoint) else { return }
            later(.datagram(messages, from: index), to: to)
        case .streamPing(let number, _, let endpoint):
            guard let to = self.index(at: endpoint) else { return }
            // The system of a member that stands still takes the stream; nobody answers.
            later(.input(.streamOpened(number: number)), to: index)
            if nodes[to].blockedSince == nil {
                later(.input(.streamAnswered(number: number)), to: index)
            }
        case .sync(let endpoint):
            guard let to = self.index(at: endpoint) else { return }
            later(.syncRequest(nodes[index].machine.fullState, from: index), to: to)
        case .setTimer(let timer, let delay):
            order += 1
            nodes[index].timers[timer] = order
            push(now + delay, .timer(timer, token: order), to: index)
        case .cancelTimer(let timer): nodes[index].timers[timer] = nil
        case .persist: break
        case .emit(.died(let member, _)): count(member.id, at: index)
        case .emit: break
        }
    }

    private func count(_ dead: NodeID, at observer: Int) {
        guard isCounting, let accused = Self.index(of: dead, nodes.count) else { return }
        let isObserverHealthy = observer >= experiment.concurrency
        guard accused < experiment.concurrency else {
            outcome.falsePositives += 1
            if isObserverHealthy { outcome.falsePositivesAtHealthy += 1 }
            return
        }
        guard isObserverHealthy, let since = nodes[accused].blockedSince else { return }
        outcome.detections.append(now - since)
        if noticed[accused] != since {
            noticed[accused] = since
            outcome.firstDetections.append(now - since)
        }
    }

    // MARK: - What comes next

    private func later(_ what: Happening, to node: Int) {
        push(now + generator.duration(in: Self.latency), what, to: node)
    }

    private func push(_ time: Instant, _ what: Happening, to node: Int) {
        order += 1
        heap.append(Entry(time: time, order: order, node: node, what: what))
        var child = heap.count - 1
        while child > 0, isEarlier(child, (child - 1) / 2) {
            heap.swapAt(child, (child - 1) / 2)
            child = (child - 1) / 2
        }
    }

    private func pop() -> Entry {
        heap.swapAt(0, heap.count - 1)
        let first = heap.removeLast()
        var parent = 0
        while true {
            var least = parent
            for child in [2 * parent + 1, 2 * parent + 2]
            where child < heap.count && isEarlier(child, least) {
                least = child
            }
            if least == parent { return first }
            heap.swapAt(parent, least)
            parent = least
        }
    }

    private func isEarlier(_ left: Int, _ right: Int) -> Bool {
        (heap[left].time, heap[left].order) < (heap[right].time, heap[right].order)
    }
}
