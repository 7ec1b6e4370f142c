package import EventLoop
package import GGUF
package import LayerPlacement
package import Primitives
package import Supervision
package import Wire

/// Everything outside the actors: the real system, or a simulated one.
///
/// All callbacks come on the loop. Nothing here blocks.
package struct World: Sendable {
    package var loop: any AgentLoop
    package var datagrams: any DatagramTransport
    /// To other agents.
    package var streams: any StreamTransport
    /// To llama.cpp's servers, whose protocols are not ours to seal.
    package var servers: any StreamTransport
    /// Nil where workers are reached directly.
    package var tunnels: (any WorkerTunnels)?
    package var store: any DurableStore
    package var children: any ChildSpawner
    package var models: any ModelSource
    package var observer: any CoreObserver
    /// From which every random choice of the agent follows.
    package var seed: UInt64
    package var witness: (any MachineWitness)?
    /// What devices were heard to say; simulated agents share one.
    package var facts: FactsCache

    package init(
        loop: any AgentLoop,
        datagrams: any DatagramTransport,
        streams: any StreamTransport,
        store: any DurableStore,
        children: any ChildSpawner,
        models: any ModelSource,
        observer: any CoreObserver,
        seed: UInt64,
        witness: (any MachineWitness)? = nil,
        servers: (any StreamTransport)? = nil,
        tunnels: (any WorkerTunnels)? = nil,
        facts: FactsCache = FactsCache()
    ) {
        self.loop = loop
        self.datagrams = datagrams
        self.streams = streams
        self.store = store
        self.children = children
        self.models = models
        self.observer = observer
        self.seed = seed
        self.witness = witness
        self.servers = servers ?? streams
        self.tunnels = tunnels
        self.facts = facts
    }
}

/// Leads to the RPC servers of workers that nobody reaches directly.
package protocol WorkerTunnels: AnyObject, Sendable {
    /// Where, on this machine, whoever connects gets to the worker's RPC server; nil if there is
    /// no room for one more.
    func endpoint(to worker: NodeID) -> Endpoint?

    /// The worker's RPC server will be needed soon, if it is reached through its agent: what takes
    /// time can be done ahead. Said again and again.
    func prepare(for worker: NodeID)

    /// In whose name tunnels are opened from now on; nil ends them all.
    func opens(under ballot: Ballot?)

    /// How far the weights of the llama-server that runs now are, for each worker that it speaks
    /// with through a tunnel; sorted by node, speeds not told.
    func transfers() -> [WorkerTransfer]
}

/// Keeps what must survive a restart.
package protocol DurableStore: AnyObject, Sendable {
    /// Replaces what is kept, and completes when it would survive a power cut; false if it was
    /// not kept, and what was kept before still is.
    func save(_ record: DurableRecord, completion: @escaping @Sendable (Bool) -> Void)
}

/// Starts llama.cpp's programs.
package protocol ChildSpawner: AnyObject, Sendable {
    func spawn(
        _ launch: ChildLaunch,
        onEvent: @escaping @Sendable (ChildProcessEvent) -> Void
    ) -> any ChildHandle
}

package enum ChildLaunch: Equatable, Sendable {
    /// `ggml-rpc-server` at the endpoint.
    case rpcServer(Endpoint)
    /// `llama-server` with its HTTP port on the endpoint.
    case llamaServer(ServerLaunch, Endpoint)
}

/// In order; `exited` comes last and once.
package enum ChildProcessEvent: Sendable, Equatable {
    case started(pid: Int32, command: String)
    case line(String)
    /// How much of the model's file llama-server has read, 0…1, where the system tells.
    case loads(Double)
    case exited(ChildEnd)
}

package protocol ChildHandle: AnyObject, Sendable {
    func terminate()
    func kill()
}

/// Finds models on this device.
package protocol ModelSource: AnyObject, Sendable {
    func readFacts(
        of model: WantedModel,
        completion: @escaping @Sendable (Result<ModelFacts, LaunchProblem>) -> Void
    )
}

/// Hears what happens in an agent; called on the loop.
package protocol CoreObserver: AnyObject, Sendable {
    func log(_ record: LogRecord)
    /// Whether anybody reads more of records than which they are.
    var readsWords: Bool { get }
    /// Something from outside was refused; the reason is short and stable.
    func refused(_ reason: String, detail: String)
    /// What `AgentCore.snapshot` gives has changed.
    func changed()
    /// The agent has said goodbye to all.
    func goodbyeSpread()
}

extension CoreObserver {
    package var readsWords: Bool { true }
}
