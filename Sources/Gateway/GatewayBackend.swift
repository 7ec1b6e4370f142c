package import Diagnosis
package import Primitives

/// The cluster, as its HTTP side sees it.
///
/// The agent implements it; tests have a small one.
package protocol GatewayBackend: Sendable {
    /// What this agent knows now.
    func status() async -> ClusterStatus

    /// The status now and after every change, newest only: a slow reader skips, never queues.
    func statusUpdates() -> AsyncStream<ClusterStatus>

    /// What this agent knows of its network.
    func network() async -> NetworkFacts

    /// The models in this agent's own models folder, sorted by name.
    func models() async -> [ModelFile]

    /// One of them; nil if there is none of this name.
    func modelFile(_ name: String) async -> ServedFile?

    /// Lines of this agent's log as they are in the file, each with its line end; with `follows`
    /// they go on until the reader leaves.
    func logLines(
        _ request: LogRequest
    ) async throws(GatewayRefusal) -> AsyncThrowingStream<[UInt8], any Error>

    /// Makes the cluster want a model. Only the master takes it (`.notMaster` elsewhere).
    func launch(_ request: LaunchRequest) async throws(GatewayRefusal)

    /// Makes the cluster want no model. Only the master takes it.
    func stopModel() async throws(GatewayRefusal)

    /// Founds a cluster with this device as its first voter, under the policy `quorum`.
    func found() async throws(GatewayRefusal)

    /// Hands mastership over to a member, by its node. Only the master does it; returns when that
    /// one is master.
    func transfer(to node: String) async throws(GatewayRefusal)

    /// Takes this device out of its cluster: returns when the others do not need it any more, and
    /// the agent stops soon after. What did not go well is returned, for people.
    func leave() async throws(GatewayRefusal) -> [String]

    /// Makes this device take no work, or take work again; else as `leave`.
    func drain(_ isDrained: Bool) async throws(GatewayRefusal) -> [String]

    /// A stream to the gateway of any member, by its node; otherwise as `connect(to:)`.
    func connect(toGatewayOf node: String) async throws(GatewayRefusal) -> Int32

    /// A stream to a service of the member that is master, this agent itself included.
    ///
    /// Returns a connected, non-blocking socket that the caller owns and closes.
    func connect(to service: MasterService) async throws(GatewayRefusal) -> Int32

    /// Counts something refused, and logs the first of its kind.
    func refused(_ reason: String, detail: String)

    func log(_ record: LogRecord)
}

/// What a gateway reaches on the master.
package enum MasterService: Sendable, Hashable {
    /// `llama-server`'s own HTTP port; refused with `.noModel` unless the model is ready.
    case llamaServer
    /// The master's own gateway: for launch, stop and the list of models.
    case gateway
}

package struct LaunchRequest: Codable, Sendable, Equatable {
    /// A file's name in the master's models folder, or a path on the master.
    package var model: String
    /// Tokens of context; nil for the default.
    package var context: Int?

    package init(model: String, context: Int?) {
        self.model = model
        self.context = context
    }
}

/// Why the cluster did not do what was asked.
///
/// The text says what to do next.
package enum GatewayRefusal: Error, Sendable, Equatable {
    /// No master is known; try again shortly.
    case noMaster
    /// This agent is not the master: ask that one.
    case notMaster(master: String)
    /// No model is ready; with the phase and what it waits for.
    case noModel(phase: String?, message: String)
    /// The model file is not there, is not a GGUF, or does not fit.
    case badModel(message: String)
    /// The master could not be reached.
    case unreachable(message: String)
    /// It cannot be done as things are; the code is for programs.
    case conflict(code: String, message: String)
}
