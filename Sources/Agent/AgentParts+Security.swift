import EventLoop
import LlamaEngine
import LlamaRPC
import Primitives
import Runtime
import SecureChannel
import Sockets
import TensorStore
import Wire

// How an agent with a key seals, and where llama.cpp's servers listen.
extension AgentParts {
    /// What seals.
    struct Security: Sendable {
        let keeper: KeyKeeper
        let datagrams: SealedDatagrams
        let streams: SealedStreams
        let beacons: SealedBeacons
    }

    /// Nil in a cluster without a key.
    static func security(
        _ configuration: AgentConfiguration,
        _ ring: KeyRing?,
        _ device: DeviceIdentity?,
        _ loop: PollLoop,
        _ datagrams: UDPSocket,
        _ streams: SocketStreamTransport,
        _ relay: Relay,
        _ observer: AgentObserver,
        _ filters: SpliceFilters
    ) -> Security? {
        guard let ring, let device else { return nil }
        let cluster = WireHeader.tag(ofCluster: configuration.cluster)
        let keys = ring.keys(cluster: configuration.cluster, at: ClusterKeyFile.now)
        let refused: @Sendable (String, String) -> Void = { reason, detail in
            observer.refused(reason, detail: detail)
        }
        let own = OwnEndpoints(
            bind: configuration.bind,
            port: configuration.agentPort,
            now: { loop.now }
        )
        func file(_ use: HelloFile.Use) -> HelloFile {
            HelloFile(stateFolder: configuration.stateFolder, use) { problem in
                observer.log(LogRecord("security.hellos.failed", .warning, problem))
            }
        }
        func hellos(_ file: HelloFile) -> HelloLedger {
            HelloLedger(
                own: device.node,
                kept: file.load(),
                time: ClusterKeyFile.nowMilliseconds,
                isReachedAt: { own.contains($0) }
            )
        }
        let (datagramHellos, streamHellos) = (file(.datagrams), file(.streams))
        return Security(
            keeper: KeyKeeper(
                on: loop,
                file: ClusterKeyFile(stateFolder: configuration.stateFolder),
                ring: ring,
                cluster: configuration.cluster,
                own: device.node,
                farewells: FarewellFile(stateFolder: configuration.stateFolder)
            ) { observer.log($0) },
            datagrams: SealedDatagrams(
                datagrams,
                on: loop,
                cluster: cluster,
                identity: device,
                keys: keys,
                hellos: hellos(datagramHellos),
                file: datagramHellos,
                refused: refused
            ),
            streams: SealedStreams(
                streams,
                relay: relay,
                on: loop,
                identity: device,
                keys: keys,
                hellos: hellos(streamHellos),
                file: streamHellos,
                refused: refused,
                filters: filters
            ),
            beacons: SealedBeacons(on: loop, cluster: cluster, own: device.node, keys: keys)
        )
    }

    /// The weights that this device keeps for its RPC server.
    static func tensorStore(
        _ configuration: AgentConfiguration,
        _ observer: AgentObserver
    ) -> TensorStore {
        TensorStore(
            PieceFolder(configuration.tensorFolder),
            limit: configuration.cacheLimit,
            models: configuration.modelsFolder
        ) { observer.log($0) }
    }

    /// What a master's stream passes on its way to the RPC server of this device.
    static func spliceFilters(
        to rpcServer: Endpoint,
        _ tensors: TensorStore,
        _ watch: @escaping @Sendable () -> any RelayFilter
    ) -> SpliceFilters {
        SpliceFilters(rpcServer: rpcServer, features: [.tensorsByName, .basesAhead]) { features in
            features.contains(.tensorsByName)
                ? [NamedTensorsReceiver(tensors, features), watch()] : [watch()]
        }
    }

    /// What watches over each connection to the RPC server of this device.
    static func rpcServerFilter(
        _ children: EngineChildren,
        _ engine: EngineFacts?,
        _ observer: AgentObserver
    ) -> @Sendable () -> any RelayFilter {
        let hasAccelerators = engine?.accelerators.isEmpty == false
        let watch = RPCStallWatch(
            idleLimit: hasAccelerators
                ? RPCStallWatch.acceleratedIdleLimit : RPCStallWatch.idleLimit
        )
        return {
            RPCServerFilter(watch, process: { children.rpcServerProcess }) { command in
                let asked = command.map { "\($0)" } ?? "what was sent"
                observer.log(
                    LogRecord(
                        "worker.rpc.stalled",
                        .error,
                        "The rpc-server hangs: it does not go on with \(asked), and its process "
                            + "does not compute. Its connection is closed.",
                        ["command": .text(asked)]
                    )
                )
            }
        }
    }

    static func warnings(_ ring: KeyRing?, _ exposure: Exposure) -> [String] {
        var warnings: [String] = []
        if ring == nil {
            warnings.append("This agent runs open: anyone on its network can join and use it.")
        } else if exposure == .direct {
            warnings.append("This device's RPC server is open to its network while a model runs.")
        }
        return warnings
    }

    /// Several agents of one machine share a port, each on its own loopback address.
    static func loopback(_ configuration: AgentConfiguration) -> IPAddress {
        configuration.bind.isLoopback ? configuration.bind : .loopback
    }

    /// - Parameter address: where others reach this device.
    static func servers(
        _ configuration: AgentConfiguration,
        _ exposure: Exposure,
        _ address: IPAddress
    ) -> Supervisor.ServerEndpoints {
        let local = loopback(configuration)
        let bind: IPAddress = configuration.bind.isUnspecified ? .v4(0) : configuration.bind
        // llama.cpp's RPC knows IPv4 only; over IPv6 the way leads through the agents.
        let isDirect = exposure == .direct && bind.isV4
        return Supervisor.ServerEndpoints(
            rpc: Endpoint(address: isDirect ? bind : local, port: configuration.rpcPort),
            rpcExternal: Endpoint(
                address: address,
                port: isDirect && address.isV4 ? configuration.rpcPort : 0
            ),
            llama: Endpoint(address: local, port: configuration.llamaPort)
        )
    }
}
