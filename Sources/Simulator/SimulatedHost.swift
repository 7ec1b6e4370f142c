import EventLoop
import GGUF
import LayerPlacement
import LeaderElection
import Primitives
import Runtime

/// A device: its clock, its disk, its network, and the agent that lives on it, again and again.
final class SimulatedHost: @unchecked Sendable {
    static let firstAddress: UInt32 = 0x0A00_0001
    static let agentPort: UInt16 = 52414
    static let httpPort: UInt16 = 52415
    static let rpcPort: UInt16 = 50052
    static let llamaPort: UInt16 = 52416
    static let cluster = "simulation"
    /// How many bytes of datagrams wait while nobody reads them; more are lost.
    private static let receiveByteLimit = 212_992

    /// The run lets go of its hosts when it ends.
    let simulation: Simulation
    let index: Int
    var clock = SimulatedClock()
    let disk: SimulatedDisk
    var generator: SeededGenerator

    private(set) var identity: NodeID
    private(set) var loop: SimulatedLoop?
    private(set) var core: AgentCore?
    private(set) var shadow: ShadowMachines?
    private(set) var life = 0
    /// Something changed that the oracles look at.
    var hasNews = false

    /// How many faults keep it down, and how many keep it from running.
    private var outages = 0
    /// Somebody wants it to take work again as soon as it runs.
    var isUndrainDue = false
    private var powerCuts = 0
    private var stalls = 0
    /// How far it is with leaving its cluster, if it was asked to.
    var departure: DepartureState?
    /// What came while it did not run.
    private var delayed: [SimulatedEvent] = []
    private var delayedByteCount = 0

    var listeners: [UInt16: SimulatedListener] = [:]
    var streams: [UInt64: SimulatedStream] = [:]
    var processes: [SimulatedProcess] = []
    var rpcFaults = RPCServerFaults()
    var llamaFaults = LlamaServerFaults()

    init(index: Int, simulation: Simulation, generator: SeededGenerator) {
        self.index = index
        self.simulation = simulation
        self.generator = generator.derived(1)
        disk = SimulatedDisk(generator: generator.derived(2))
        var ids = generator.derived(3)
        identity = NodeID(using: &ids)
        disk.identities = ids
    }

    var name: String { Scenario.name(of: index) }
    var address: IPAddress { .v4(Self.firstAddress + UInt32(index)) }
    var isUp: Bool { outages == 0 }
    /// A device whose agent was only killed still answers for it: with refusals and resets.
    var hasPower: Bool { powerCuts == 0 }
    var isStalled: Bool { stalls > 0 }

    func endpoint(_ port: UInt16) -> Endpoint {
        Endpoint(address: address, port: port)
    }

    /// From now on its programs and later lives draw otherwise.
    func redraw(_ generator: SeededGenerator) {
        self.generator = generator
    }

    // MARK: - Life and death

    func start() {
        guard isUp, core == nil else { return }
        life += 1
        let record: DurableRecord
        if let saved = disk.read() {
            record = saved
        } else {
            if life > 1 {
                identity = disk.freshIdentity()
                simulation.statistics.records["disk.freshIdentity", default: 0] += 1
            }
            record = DurableRecord()
            disk.forget()
        }
        simulation.introduce(identity, as: self)
        simulation.trace.line(.start, simulation.now, from: index, to: nil, "life \(life)")
        simulation.safety.begins(identity, record, simulation)
        let loop = SimulatedLoop(host: self, simulation: simulation)
        let world = SimulatedWorld(host: self, loop: loop)
        shadow = simulation.hasShadows ? ShadowMachines(host: self) : nil
        let core = AgentCore(
            world: world.world(seed: generator.next()),
            configuration: configuration,
            record: record
        )
        self.loop = loop
        self.core = core
        listeners[Self.agentPort] = SimulatedListener(owner: .agent(loop)) { stream in
            stream.onEvent = core.accept(stream)
        }
        let seeds = simulation.scenario.seeds.filter { $0 != index }.map {
            simulation.hosts[$0].endpoint(Self.agentPort)
        }
        hasNews = true
        simulation.traceState(of: self)
        simulation.quality.starts(index, at: simulation.now)
        loop.execute { core.start(seeds: seeds, remembered: record.peers) }
        guard isUndrainDue else { return }
        isUndrainDue = false
        drain(false)
    }

    private var configuration: CoreConfiguration {
        var configuration = deviceConfiguration
        configuration.election.policy = simulation.scenario.policy
        configuration.facts.policy = simulation.scenario.policy
        return configuration
    }

    private var deviceConfiguration: CoreConfiguration {
        let model = simulation.scenario.model
        let holds = model?.holders.contains(index) ?? false
        return CoreConfiguration(
            node: identity,
            cluster: Self.cluster,
            endpoint: endpoint(Self.agentPort),
            gateway: endpoint(Self.httpPort),
            servers: .init(
                rpc: endpoint(Self.rpcPort),
                rpcExternal: endpoint(Self.rpcPort),
                llama: endpoint(Self.llamaPort)
            ),
            facts: DeviceFacts(
                name: name,
                memoryTotal: ByteCount(8 << 30),
                memoryAvailable: ByteCount(4 << 30),
                httpPort: Self.httpPort,
                rpcPort: Self.rpcPort,
                engine: "0.7.0",
                models: holds ? [model?.wanted.fingerprint].compactMap(\.self) : []
            )
        )
    }

    /// - Parameter power: the device goes dark; otherwise only the agent is killed, and its
    ///   system tells everybody who has a stream to it.
    func crash(disk fault: DiskFault, power: Bool) {
        outages += 1
        if power { powerCuts += 1 }
        disk.crash(fault)
        guard core != nil else { return }
        simulation.statistics.records[power ? "host.power" : "host.crash", default: 0] += 1
        simulation.trace.line(.stop, simulation.now, from: index, to: nil, "crash")
        vanish(tellsPeers: !power)
    }

    /// The agent is gone, and what it started with it.
    private func vanish(tellsPeers: Bool) {
        end()
        simulation.traceState(of: self)
        for case .datagram(let packet) in delayed {
            simulation.traceLoss(packet, "\(name) was gone before it read this")
        }
        for process in processes { process.vanish() }
        processes = []
        for id in streams.keys.sorted() { streams[id]?.vanish(tellsPeer: tellsPeers) }
        streams = [:]
        listeners = [:]
        delayed = []
        delayedByteCount = 0
    }

    /// The agent ends by itself, and is not started again before `recover`.
    func stop() {
        guard core != nil else { return }
        outages += 1
        // What its process was still writing ends with it, and never reaches its next life's disk.
        disk.crash(.kept)
        simulation.statistics.records["host.left", default: 0] += 1
        simulation.trace.line(.stop, simulation.now, from: index, to: nil, "left")
        vanish(tellsPeers: true)
    }

    /// It is not switched on before `recover`.
    func keepOut() {
        outages += 1
        powerCuts += 1
    }

    func recover(power: Bool) {
        outages -= 1
        if power { powerCuts -= 1 }
        start()
    }

    private func end() {
        guard let loop, let core else { return }
        simulation.quality.ends(index, at: simulation.now)
        loseBuffers()
        loop.run { core.dismantle() }
        loop.end()
        self.loop = nil
        self.core = nil
    }

    func tearDown() {
        end()
        for process in processes { process.vanish() }
        for id in streams.keys.sorted() { streams[id]?.forget() }
        processes = []
        streams = [:]
        listeners = [:]
        delayed = []
    }

    // MARK: - Not running

    func stall() {
        stalls += 1
        simulation.traceState(of: self)
    }

    func resume() {
        stalls -= 1
        guard stalls == 0 else { return }
        simulation.statistics.records["host.resume", default: 0] += 1
        simulation.traceState(of: self)
        let events = delayed
        delayed = []
        delayedByteCount = 0
        // As the real loop does: what is due first, then what has arrived.
        for event in events where event.isTimer {
            simulation.schedule(event, after: 0, node: index)
        }
        for event in events where !event.isTimer {
            simulation.schedule(event, after: 0, node: index)
        }
    }

    /// Keeps the event for later, as this device does not run now; what does not fit is lost.
    func delay(_ event: SimulatedEvent) {
        if case .datagram(let packet) = event {
            guard delayedByteCount + packet.bytes.count <= Self.receiveByteLimit else {
                simulation.traceLoss(packet, "the buffer of \(name) is full while it stalls")
                return
            }
            delayedByteCount += packet.bytes.count
        }
        delayed.append(event)
    }

    /// What lies in a socket's buffer goes with its process; the next life never sees it.
    private func loseBuffers() {
        for case .datagram(let packet) in delayed {
            simulation.traceLoss(packet, "\(name) ended before it read it")
        }
        delayed.removeAll { if case .datagram = $0 { true } else { false } }
        delayedByteCount = 0
    }

    func jumpClock(by distance: Duration) {
        clock.jump(by: distance.wholeNanoseconds)
        loop?.retimeAll()
    }

    func changeClock(rate: Double) {
        clock.change(rate: rate, at: simulation.now)
        loop?.retimeAll()
    }
}

extension SimulatedEvent {
    fileprivate var isTimer: Bool {
        switch self {
        case .timer: true
        case .action, .job, .datagram, .outside, .nothing: false
        }
    }
}
