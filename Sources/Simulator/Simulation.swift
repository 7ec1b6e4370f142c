import CSimulation
import Primitives
import Runtime
import Wire

/// One simulated run: virtual time, the nodes, what is between them, and what must hold.
///
/// Everything that happens follows from the scenario and the seed. All of it is used by the
/// thread that calls `run()` and by no other, which is why its parts are Sendable unchecked.
package final class Simulation: @unchecked Sendable {
    package let scenario: Scenario
    package let seed: UInt64
    private(set) var now: Int64 = 0
    private var end: Int64
    private(set) var hosts: [SimulatedHost] = []
    var network: SimulatedNetwork
    var trace: Trace
    var safety: SafetyOracle
    var lease: LeaseOracle
    var quorum: QuorumOracle
    var quality: QualityOracle
    var liveness: LivenessOracle
    /// Measured only when asked for: looking at all nodes all the time makes another run.
    var phases: PhaseRecorder?
    var statistics = SimulationStatistics()
    private(set) var violation: Violation?
    private var queue: EventQueue
    /// Datagrams that have arrived, whose memory the next ones take.
    private var sparePackets: [Packet] = []
    /// Read once for all agents: in a large cluster these are what takes memory.
    let facts: FactsCache
    private var names: [NodeID: String] = [:]
    private var lastStream: UInt64 = 0
    private var lastProcess: Int32 = 1000
    private let redraw: Redraw?
    /// Whether each agent's machines are driven a second time, without actors.
    let hasShadows: Bool

    /// - Parameters:
    ///   - hasShadows: each agent's machines are driven a second time, directly, and compared.
    ///   - writeTrace: takes a JSON line for all that happens; nil for speed.
    package init(
        scenario: Scenario,
        seed: UInt64,
        redraw: Redraw? = nil,
        recordsPhases: Bool = false,
        hasShadows: Bool = false,
        writeTrace: ((String) -> Void)? = nil
    ) {
        self.redraw = redraw
        self.hasShadows = hasShadows
        self.scenario = scenario.drawingSwarm(seed: seed)
        self.seed = seed
        end = self.scenario.duration.wholeNanoseconds
        // One generator for each purpose: more draws for one change nothing for the others.
        let generator = SeededGenerator(seed: seed)
        queue = EventQueue(ties: generator.derived(1))
        facts = FactsCache(slotCount: scenario.nodeCount > 64 ? 8192 : 256)
        network = SimulatedNetwork(
            nodeCount: scenario.nodeCount,
            settings: scenario.network,
            quietFrom: self.scenario.liveness.at.wholeNanoseconds,
            generator: generator.derived(2)
        )
        safety = SafetyOracle([])
        lease = LeaseOracle(nodeCount: scenario.nodeCount)
        quorum = QuorumOracle(self.scenario)
        quality = QualityOracle(nodeCount: scenario.nodeCount)
        trace = Trace(nodeCount: scenario.nodeCount, write: writeTrace)
        liveness = LivenessOracle(self.scenario)
        if recordsPhases { phases = PhaseRecorder(caption: "the agents start") }
        hosts = (0..<scenario.nodeCount).map { index in
            SimulatedHost(
                index: index,
                simulation: self,
                generator: generator.derived(1000 + UInt64(index))
            )
        }
        safety = SafetyOracle(hosts)
    }

    /// Runs the scenario from its beginning to its end or to the first violation; called once.
    ///
    /// - Parameter tell: hears how far it is, about once a virtual second.
    package func run(tell: ((Duration) -> Void)? = nil) -> SimulationResult {
        var tellAt: Int64 = tell == nil ? .max : 0
        csimulation_enter()
        begin()
        while violation == nil, let entry = queue.pop(until: end) {
            now = entry.time
            if now >= tellAt {
                tell?(.nanoseconds(now))
                tellAt = now + 1_000_000_000
            }
            handle(entry)
        }
        if violation == nil {
            now = end
            liveness.judgeEnd(self)
        }
        quality.finish(at: now)
        statistics.quality = quality.figures
        if violation == nil,
            let excess = scenario.bounds?.excess(of: statistics, nodeCount: hosts.count)
        {
            report("quality", excess)
        }
        traceEnd()
        let escaped = csimulation_leave()
        if escaped > 0, violation == nil {
            report("escapedJob", "\(escaped) jobs left the simulated loops for other threads")
        }
        phases?.close(at: .nanoseconds(now))
        let result = SimulationResult(
            seed: seed,
            hash: trace.hash,
            virtualTime: .nanoseconds(now),
            violation: violation,
            convergedAfter: liveness.convergedAfter,
            statistics: statistics,
            phases: phases?.phases ?? []
        )
        tearDown()
        return result
    }

    private func begin() {
        var starts = SeededGenerator(seed: seed).derived(3)
        for host in hosts {
            traceState(of: host)
            let delay = starts.duration(in: .zero...scenario.startWithin)
            outside(after: delay, node: host.index) { host.start() }
        }
        if let redraw {
            outside(after: redraw.at) { [unowned self] in
                let generator = SeededGenerator(seed: seed).derived(4).derived(redraw.salt)
                network.redraw(generator.derived(1))
                queue.redraw(ties: generator.derived(2))
                for host in hosts { host.redraw(generator.derived(1000 + UInt64(host.index))) }
            }
        }
        for (index, fault) in scenario.faults.enumerated() { schedule(fault, number: index) }
        if scenario.policy == .quorum {
            outside(after: scenario.startWithin + .milliseconds(500)) { [unowned self] in
                askToFound()
            }
        }
        if let model = scenario.model {
            outside(after: model.launchAt) { [unowned self] in askForModel(model) }
        }
        // What ends at that very moment must have ended.
        outside(after: scenario.liveness.at + LivenessOracle.interval) { [unowned self] in
            judgeLiveness()
        }
        if phases != nil { lookAtPhases() }
    }

    private func judgeLiveness() {
        liveness.judge(self)
        guard violation == nil else { return }
        if liveness.isDone(self) {
            end = now
            return
        }
        outside(after: LivenessOracle.interval) { [unowned self] in judgeLiveness() }
    }

    /// Agents hold each other; without this, every run would leave them behind.
    private func tearDown() {
        for host in hosts { host.tearDown() }
        hosts = []
        queue.removeAll()
        sparePackets = []
    }

    // MARK: - Time

    func schedule(_ event: SimulatedEvent, after delay: Int64, node: Int) {
        let entry = EventQueue.Entry(time: now + delay, event: event, cause: trace.index)
        queue.push(entry, node: node)
    }

    /// The place in the queue that an event scheduled now would have.
    func nextTurn() -> EventQueue.Turn {
        queue.nextTurn(cause: trace.index)
    }

    /// Schedules an event with a place that it was given before.
    func schedule(_ event: SimulatedEvent, at time: Int64, node: Int, _ turn: EventQueue.Turn) {
        queue.push(.init(time: time, event: event, cause: turn.cause), node: node, turn)
    }

    /// Schedules something outside all agents.
    func outside(after delay: Duration, node: Int = -1, _ action: @escaping () -> Void) {
        schedule(.outside(action), after: delay.wholeNanoseconds, node: node)
    }

    private func handle(_ entry: EventQueue.Entry) {
        switch entry.event {
        case .timer(let loop, let slot, let ticket):
            let host = loop.host
            guard loop.isPending(slot, ticket: ticket) else { return }
            guard !host.isStalled else { return host.delay(entry.event) }
            guard let action = loop.takeTimer(slot, ticket: ticket) else { return }
            trace.begin(.timer, now, host.index, entry.cause)
            loop.run(action)
            check(host)
        case .action(let loop, let action):
            let host = loop.host
            guard !loop.hasEnded else { return }
            guard !host.isStalled else { return host.delay(entry.event) }
            trace.begin(.action, now, host.index, entry.cause)
            loop.run(action)
            check(host)
        case .job(let loop, let job):
            let host = loop.host
            guard !loop.hasEnded else { return }
            guard !host.isStalled else { return host.delay(entry.event) }
            trace.begin(.job, now, host.index, entry.cause)
            loop.run(job)
            check(host)
        case .datagram(let packet):
            let host = hosts[packet.to]
            guard !host.isStalled || host.core == nil else { return host.delay(entry.event) }
            trace.begin(.deliver, now, packet.to, entry.cause)
            trace.mix(packet.bytes)
            deliver(packet, to: host)
            check(host)
            if packet.canBeUsedAgain { sparePackets.append(packet) }
        case .outside(let action):
            trace.begin(.outside, now, -1, entry.cause)
            action()
        case .nothing: break
        }
    }

    private func deliver(_ packet: Packet, to host: SimulatedHost) {
        guard let loop = host.loop, let core = host.core else {
            traceLoss(packet, "\(host.name) does not run")
            refuse(packet, at: host)
            return
        }
        statistics.deliveredCount += 1
        traceArrival(packet)
        if let obeyed = packet.obeyed {
            lease.obeyed(obeyed, by: hosts[packet.from].identity, to: host, at: now)
        }
        let source = hosts[packet.from].endpoint(SimulatedHost.agentPort)
        let bytes = packet.bytes
        loop.run { core.membership.receive(bytes.span, from: source) }
    }

    /// The system of a host whose agent does not run says that nobody listens there (ICMP).
    private func refuse(_ packet: Packet, at host: SimulatedHost) {
        guard host.hasPower else { return }
        let destination = host.endpoint(SimulatedHost.agentPort)
        let sender = packet.from
        let fate = network.fate(from: packet.to, to: sender, byteCount: 0, at: now)
        guard case .arrives(let delay, _, _) = fate else { return }
        outside(after: .nanoseconds(delay), node: sender) { [unowned self] in
            let host = hosts[sender]
            guard let loop = host.loop, let core = host.core else { return }
            let tell = { core.membership.refused(by: destination) }
            schedule(.action(loop, tell), after: 0, node: sender)
        }
    }

    /// A datagram to fill.
    func emptyPacket() -> Packet {
        sparePackets.popLast() ?? Packet()
    }

    /// Nobody will take the datagram.
    func discard(_ packet: Packet) {
        if packet.canBeUsedAgain { sparePackets.append(packet) }
    }

    // MARK: - Judging

    private func check(_ host: SimulatedHost) {
        if trace.isWriting { traceState(of: host) }
        guard host.hasNews, host.core != nil else { return }
        host.hasNews = false
        safety.check(host, self)
        quorum.check(host, self)
    }

    func report(_ invariant: String, _ detail: String) {
        guard violation == nil else { return }
        violation = Violation(invariant: invariant, detail: detail, at: .nanoseconds(now))
        trace.line(.violation, now, from: nil, to: nil, "\(invariant): \(detail)")
    }

    // MARK: - Names

    func introduce(_ id: NodeID, as host: SimulatedHost) {
        names[id] = host.name
    }

    func name(of id: NodeID) -> String {
        names[id] ?? id.short
    }

    func nextStream() -> UInt64 {
        lastStream += 1
        return lastStream
    }

    func nextProcess() -> Int32 {
        lastProcess += 1
        return lastProcess
    }

    /// The host with the address; nil if there is none.
    func host(at address: IPAddress) -> SimulatedHost? {
        index(of: address).map { hosts[$0] }
    }

    /// The number of the host with the address; nil if there is none.
    func index(of address: IPAddress) -> Int? {
        guard case .v4(let bits) = address else { return nil }
        let index = Int(bits) - Int(SimulatedHost.firstAddress)
        return hosts.indices.contains(index) ? index : nil
    }
}

/// What did not hold.
package struct Violation: Equatable, Sendable, Codable, CustomStringConvertible {
    /// Which property, by the name that Simulations/README.md gives it (`S1`, `L2`, `launch`).
    package var invariant: String
    package var detail: String
    package var at: Duration

    package init(invariant: String, detail: String, at: Duration) {
        self.invariant = invariant
        self.detail = detail
        self.at = at
    }

    /// Whether it is seen when it happens, not when something has not come to hold in time.
    var isOfSafety: Bool { ["S", "lease", "answer"].contains(where: invariant.hasPrefix) }

    package var description: String {
        let seconds = Double(at.wholeMilliseconds) / 1000
        return "\(invariant) violated at \(seconds) s: \(detail)"
    }
}

package struct SimulationStatistics: Equatable, Sendable {
    package var sentCount = 0
    package var lostCount = 0
    package var deliveredCount = 0
    package var sentByteCount = 0
    /// How often each kind of log record was written, by its id.
    package var records: [String: Int] = [:]
    package var quality = QualityFigures()
}

package struct SimulationResult: Equatable, Sendable {
    package var seed: UInt64
    /// The rolling hash of everything that happened: equal runs have equal hashes.
    package var hash: UInt64
    package var virtualTime: Duration
    package var violation: Violation?
    /// How long after `liveness.at` everything was well; nil if that was not asked for or never.
    package var convergedAfter: Duration?
    package var statistics: SimulationStatistics
    /// Between the changes of the faults; empty unless asked for.
    package var phases: [PhaseRecorder.Phase] = []
}
