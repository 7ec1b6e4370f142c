import CPosix
import EngineStore
import EventLoop
import FoundationEssentials
import Gateway
import LayerPlacement
import LeaderElection
import LlamaEngine
import Primitives
import Processes
import Runtime
import SWIM
import SecureChannel
import Sockets
import Synchronization
import Telemetry
import TensorStore
import Wire

/// The pieces of a running agent, put together.
final class AgentParts: Sendable {
    let node: NodeID
    let endpoint: Endpoint
    let http: Endpoint
    let backend: AgentBackend
    let engineVersion: String?

    private let configuration: AgentConfiguration
    private let lock: FileLock
    private let logs: LogPipeline
    private let loop: PollLoop
    private let relay: Relay
    private let datagrams: UDPSocket
    private let detours: DetourTransport
    private let listener: StreamListener
    private let core: AgentCore
    private let observer: AgentObserver
    private let facts: FactsKeeper
    private let record: DurableRecord
    private let discovery: Discovery?
    /// Nil in a cluster without a key.
    private let security: Security?
    private let services: ServiceClient
    private let doors: WorkerDoors
    private let tensors: TensorStore
    let exposure: Exposure

    /// How long an agent that stops waits for its children and its goodbye.
    private static let stopLimit: Duration = .seconds(12)

    init(
        _ configuration: AgentConfiguration,
        ring: KeyRing?,
        logs: LogPipeline
    ) async throws {
        let scopes = LinkScopes()
        var configuration = configuration
        configuration.seeds = configuration.seeds.map(scopes.heard)
        self.configuration = configuration
        self.logs = logs
        let folder = StateFolder(configuration.stateFolder)
        lock = try folder.claim()
        let device =
            ring == nil ? nil : try DeviceKeyFile.readOrMake(in: configuration.stateFolder)
        let (node, record) = Self.identity(in: folder, device, logs)
        self.node = node
        self.record = record
        exposure = configuration.exposure ?? (ring == nil ? .direct : .relay)

        let engine = await Self.findEngine(configuration, logs)
        engineVersion = engine?.facts.shortVersion

        let interfaces = configuration.bind.isUnspecified ? try Interfaces.addresses() : []
        let address = OwnAddress.choose(for: configuration.bind, among: interfaces)
        endpoint = Endpoint(address: address, port: configuration.agentPort)
        http = Endpoint(address: address, port: configuration.httpPort)

        loop = try PollLoop(name: "caravan-loop")
        relay = Relay()
        do {
            datagrams = try UDPSocket(
                on: loop,
                at: Endpoint(address: configuration.bind, port: configuration.agentPort),
                scopes: scopes
            )
            listener = try StreamListener(
                on: loop,
                at: Endpoint(address: configuration.bind, port: configuration.agentPort),
                scopes: scopes
            )
        } catch {
            throw AgentProblem("\(error)")
        }
        let source = configuration.bind.isUnspecified ? nil : configuration.bind
        observer = AgentObserver(
            node: node,
            cluster: configuration.cluster,
            pipeline: logs,
            loop: loop,
            warnings: Self.warnings(ring, exposure)
        )
        let models = ModelsFolder(configuration.modelsFolder, of: configuration.name, loop: loop)
        let children = EngineChildren(engine: engine, models: models, loop: loop)
        let servers = Self.servers(configuration, exposure, address)
        tensors = Self.tensorStore(configuration, observer)
        let filters = Self.spliceFilters(
            to: servers.rpcInternal,
            tensors,
            Self.rpcServerFilter(children, engine?.facts, observer)
        )
        let plainStreams = SocketStreamTransport(
            on: loop,
            source: source,
            relay: relay,
            filters: filters,
            scopes: scopes
        )
        security = Self.security(
            configuration,
            ring,
            device,
            loop,
            datagrams,
            plainStreams,
            relay,
            observer,
            filters
        )
        detours = DetourTransport(
            on: loop,
            datagrams: security?.datagrams ?? datagrams,
            streams: security?.streams ?? plainStreams
        )
        facts = FactsKeeper(configuration, engine: engine?.facts, models: models, loop: loop)
        var coreConfiguration = CoreConfiguration(
            node: node,
            cluster: configuration.cluster,
            endpoint: endpoint,
            gateway: Endpoint(
                address: configuration.bind.isUnspecified ? .loopback : configuration.bind,
                port: configuration.httpPort
            ),
            servers: servers,
            facts: facts.begin()
        )
        coreConfiguration.election.policy = configuration.policy
        if security != nil {
            // Sealed, a datagram is a little longer.
            coreConfiguration.swim.datagramByteLimit -= SealedDatagrams.extraByteCount
        }
        services = ServiceClient(
            loop: loop,
            agents: detours,
            servers: plainStreams,
            relay: relay,
            header: WireHeader(
                cluster: WireHeader.tag(ofCluster: configuration.cluster),
                sender: node
            )
        )
        doors = WorkerDoors(
            on: loop,
            at: Self.loopback(configuration),
            services: services,
            relay: relay,
            dialsAhead: exposure == .relay
        ) { [observer] in observer.log($0) }
        let world = World(
            loop: loop,
            datagrams: detours,
            streams: detours,
            store: FileStore(folder: folder, node: node, loop: loop),
            children: children,
            models: models,
            observer: observer,
            seed: agent_random(),
            servers: plainStreams,
            tunnels: doors
        )
        core = AgentCore(world: world, configuration: coreConfiguration, record: record)
        observer.observe(core)
        backend = AgentBackend(
            core: core,
            loop: loop,
            observer: observer,
            services: services,
            folder: models,
            logFolder: configuration.logFolder,
            configuration: coreConfiguration
        )
        discovery =
            configuration.discovers
            ? try Discovery(
                loop: loop,
                bind: configuration.bind,
                endpoint: endpoint,
                header: WireHeader(
                    cluster: WireHeader.tag(ofCluster: configuration.cluster),
                    sender: node
                ),
                core: core,
                observer: observer,
                seal: security?.beacons,
                scopes: scopes,
                detours: detours
            )
            : nil
        observer.observe(
            NetworkSurvey(
                configuration: configuration,
                core: core,
                discovery: discovery,
                detours: detours,
                remembered: record.peers,
                loop: loop
            ) { [keeper = security?.keeper] in keeper?.assumeIsolated { $0.removedBy } }
        )
    }

    func start() async throws {
        explainPolicy()
        try await onLoop { [self] in
            doors.assumeIsolated { [core] doors in
                doors.begin(
                    WorkerDoors.Members(
                        endpoint: { core.endpoint(of: $0) },
                        engine: { core.engine(of: $0) }
                    )
                )
            }
            services.assumeIsolated { [core] services in
                services.begin(
                    DialBacks(
                        isBetter: { core.isBetterDialledBack($0) },
                        failed: { core.failedToDial($0, $1) },
                        ask: { core.dialBack($0, onStream: $1, onFailure: $2) }
                    )
                )
            }
            detours.assumeIsolated { [core] detours in
                detours.begin(core.membership) { core.endpoint(of: $0) }
            }
            if let security {
                try begin(security)
            } else {
                try datagrams.assumeIsolated { try $0.start(detours) }
                try listener.assumeIsolated { [core] in
                    try $0.start { connection in core.accept(connection) }
                }
            }
            core.start(seeds: configuration.seeds, remembered: record.peers)
            try discovery?.assumeIsolated { [core] discovery in
                try discovery.start { core.moved(to: $0) }
            }
            facts.follow { [core] facts in core.factsChanged(facts) }
        }
    }

    /// Says what a person must do before this agent can be of use.
    private func explainPolicy() {
        let voters = record.election.configuration
        switch configuration.policy {
        case .quorum where voters == nil:
            logs.emit(
                LogRecord(
                    "agent.policy.outside",
                    .notice,
                    "This device belongs to no cluster yet: it joins the one whose master it hears. "
                        + "If there is none, run `caravan found` on one device, once."
                )
            )
        case .available where voters != nil:
            logs.emit(
                LogRecord(
                    "agent.policy.changed",
                    .warning,
                    "This device was part of a cluster under --policy quorum and runs without it "
                        + "now: it takes no part in that cluster's elections."
                )
            )
        case .available, .quorum: break
        }
    }

    /// Lets datagrams and streams in through the seals.
    private func begin(_ security: Security) throws {
        let (keeper, streams) = (security.keeper, security.streams)
        try security.datagrams.assumeIsolated { try $0.start(detours) }
        streams.assumeIsolated { [core] in
            $0.open(
                SealedStreams.Door(
                    frames: { core.accept($0) },
                    keys: { keeper.accept($0, from: $1) }
                )
            )
        }
        try listener.assumeIsolated { listener in
            try listener.start { streams.accept($0) }
        }
        keeper.assumeIsolated { [core, detours] in
            $0.begin(
                streams,
                members: {
                    core.otherMembers().map { ($0.node, detours.dialPlace(of: $0.endpoint)) }
                },
                users: [
                    { keys in security.datagrams.assumeIsolated { $0.use(keys) } },
                    { keys in security.streams.assumeIsolated { $0.use(keys) } },
                    { keys in security.beacons.assumeIsolated { $0.use(keys) } },
                ]
            )
        }
    }

    /// Stops what runs, says goodbye, and waits for both, but not for ever.
    func stop() async {
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [self] in await leave() }
            group.addTask { try? await Task.sleep(for: Self.stopLimit) }
            await group.next()
            group.cancelAll()
        }
        observer.hub.finish()
    }

    private func leave() async {
        let pending = Mutex(2)
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            let finishOne: @Sendable () -> Void = {
                if pending.withLock({
                    $0 -= 1; return $0 == 0
                }) {
                    continuation.resume()
                }
            }
            loop.execute { [self] in
                discovery?.assumeIsolated { $0.stop() }
                observer.whenGoodbyeSpread(finishOne)
                core.leave(stopped: finishOne)
            }
        }
    }

    func closeSockets() {
        loop.stop()
        relay.stop()
        tensors.stop()
    }

    private func onLoop(_ work: @escaping @Sendable () throws -> Void) async throws {
        try await withCheckedThrowingContinuation {
            (continuation: CheckedContinuation<Void, any Error>) in
            loop.execute { continuation.resume(with: Result { try work() }) }
        }
    }
}
