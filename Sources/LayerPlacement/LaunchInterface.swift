package import GGUF
package import Primitives

/// A member that could hold layers.
package struct WorkerCandidate: Equatable, Sendable {
    package var node: NodeID
    /// What it offers.
    package var memory: ByteCount
    /// Whether this member can exchange streams with it; if not, it is left out.
    package var isReachable: Bool

    package init(node: NodeID, memory: ByteCount, isReachable: Bool = true) {
        self.node = node
        self.memory = memory
        self.isReachable = isReachable
    }
}

package enum LaunchInput: Equatable, Sendable {
    /// This member is master under the ballot, newly or still.
    case reigns(Ballot)
    /// This member is not master; `obeys` is another one's ballot, if there is one.
    case follows(Ballot?)
    /// Who could be a worker: present, with an engine, without this member; sorted by node.
    case candidates([WorkerCandidate])
    /// Somebody asked this master for a model, or for none.
    case want(WantedModel?)
    /// Somebody told what the cluster wants.
    case heard(WantedState, from: NodeID)
    case report(WorkerReport, from: NodeID)
    /// The master told how far it is.
    case progress(LaunchReport)
    /// The master told how far the weights are.
    case transfers(TransferReport)
    /// What the relay of this master has counted, as `readTransfers` asked.
    case transferred([WorkerTransfer])
    case modelRead(SessionID, Result<ModelFacts, LaunchProblem>)
    /// A worker's RPC server was asked from here.
    case probed(SessionID, NodeID, Result<Int, LaunchProblem>)
    case server(SessionID, ServerEvent)
    case timer(LaunchTimer)
}

/// Why something failed, in words that say what to do next.
package struct LaunchProblem: Error, Equatable, Sendable, CustomStringConvertible {
    package var message: String

    package var description: String { message }

    package init(_ message: String) {
        self.message = message
    }
}

/// What llama-server does, whichever of its output and its /health says so first.
package enum ServerEvent: Equatable, Sendable {
    case started(pid: Int32)
    /// It speaks with the workers about memory.
    case handshakes
    /// Of the weights, 0…1; nil if it does not tell.
    case loads(Double?)
    /// What it placed on a device (`RPC0` is 0), nil is the master's own.
    case placed(device: UInt8?, ByteCount)
    /// A layer's device; the output layer is the last.
    case assigned(layer: UInt16, device: UInt8?)
    case loaded
    /// Something it said that explains a failure.
    case complained(String)
    /// The same, and it is the model's fault.
    case rejected(String)
    case ended(String)
}

package enum LaunchTimer: Hashable, Sendable {
    /// After an election: enough members have told what is wanted.
    case collected
    /// Say again what is ordered and wanted.
    case announce
    /// Workers that have not answered are left out.
    case firstAnswer
    /// Workers that are not ready are left out.
    case workersReady
    /// A worker that did not answer a probe is asked again.
    case probe(NodeID)
    case probesDone
    /// llama-server has given no sign of life for too long.
    case stalled
    /// Try again.
    case retry
    /// Nobody became master again: what runs here has no owner.
    case abandoned
}

extension LaunchTimer: TimerName {
    package static var slotCount: Int { 8 }

    package var slot: Int? {
        switch self {
        case .collected: 0
        case .announce: 1
        case .firstAnswer: 2
        case .workersReady: 3
        case .probesDone: 4
        case .stalled: 5
        case .retry: 6
        case .abandoned: 7
        case .probe: nil
        }
    }
}

/// How to start llama-server.
package struct ServerLaunch: Equatable, Sendable {
    package var model: WantedModel
    /// In the order of the devices in `tensorSplit`; empty when the master is alone.
    package var workers: [Endpoint]
    /// One value a device; empty when the master is alone.
    package var tensorSplit: String

    package init(model: WantedModel, workers: [Endpoint], tensorSplit: String) {
        self.model = model
        self.workers = workers
        self.tensorSplit = tensorSplit
    }
}

package enum LaunchEffect: Equatable, Sendable {
    case send(PlacementMessage, to: NodeID)
    /// To every present member.
    case broadcast(PlacementMessage)
    /// The wanted state must be on disk before the effects that follow are performed.
    case persist(WantedState)
    case readModel(WantedModel, SessionID)
    /// Ask a worker's RPC server for its devices, once, and close.
    case probe(Endpoint, NodeID, SessionID)
    case startServer(ServerLaunch, SessionID)
    case stopServer
    /// Ask the relay how far the weights are.
    case readTransfers
    case setTimer(LaunchTimer, after: Duration)
    case cancelTimer(LaunchTimer)
    case emit(LaunchEvent)
    /// Whether this member has a model to lose.
    case serving(Bool)
}

package enum LaunchEvent: Equatable, Sendable {
    case wants(WantedState)
    case phase(LaunchPhase, SessionID)
    case workerReady(NodeID, Endpoint)
    case workerLeftOut(NodeID, reason: String)
    case checking(workerCount: Int)
    case allReady(workerCount: Int, after: Duration)
    case starting(ServerLaunch, shares: [DeviceShare])
    case loaded(after: Duration)
    case failed(reason: String, retryAfter: Duration?)
    case replacing(because: String)
    case stopped
    case progressChanged
    case transfersChanged
}
