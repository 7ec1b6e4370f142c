import EventLoop
import Gateway
import LlamaRPC
import Primitives
import Runtime
import Sockets
import Wire

/// The way from the master to one worker's RPC server: what is known of the server, and a stream
/// that is opened before somebody needs it.
///
/// Both last as long as the stream does, or the connection that took it: when the server goes,
/// they go, and what is known is asked for anew.
actor WorkerWay {
    private nonisolated let loop: PollLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.executor }

    nonisolated let memory: WorkerMemory
    private let services: ServiceClient
    private let worker: NodeID
    private let members: WorkerDoors.Members
    private var ballot: Ballot?
    private var state = State.unknown
    /// The stream that is opened ahead.
    private var ahead: HeldService?
    /// The stream on which the server is asked what it always answers.
    private var asking: HeldService?
    private var probe = RPCFactsProbe()
    private var timer: LoopTimer?
    /// Connections that have taken a stream.
    private var useCount = 0
    /// Counts beginnings, so that late events of an earlier one are not taken for the next one's.
    private var round: UInt64 = 0

    /// How a connection to the server goes.
    enum Manner: Sendable {
        case answers(RPCServerFacts)
        /// Nothing is known of such a server: everything passes.
        case passes
        case isClosed(reason: String)
    }

    private enum State {
        case unknown
        case learning([@Sendable (Manner) -> Void])
        case known(RPCServerFacts)
        case unknowable
    }

    /// For the streams that llama-server gets.
    private static let features: ServiceFeatures = [.tensorsByName, .basesAhead]
    /// One on which the server is asked, and one that llama-server gets.
    private static let streamCount = 2
    private static let learningLimit: Duration = .seconds(3)

    init(
        on loop: PollLoop,
        to worker: NodeID,
        _ services: ServiceClient,
        _ memory: WorkerMemory,
        members: WorkerDoors.Members
    ) {
        self.loop = loop
        self.worker = worker
        self.services = services
        self.memory = memory
        self.members = members
    }

    /// Says how a connection goes, as soon as that is known; the completion comes on the loop.
    nonisolated func find(
        under ballot: Ballot,
        _ completion: @escaping @Sendable (Manner) -> Void
    ) {
        assumeIsolated { $0.findOut(ballot, completion) }
    }

    /// The server will be needed soon: opens streams to its device.
    nonisolated func prepare() {
        assumeIsolated { $0.dialAhead() }
    }

    /// A stream to the server, the one that was opened ahead if there is one.
    ///
    /// Who has got one says when it has `ended`.
    nonisolated func take(
        _ completion: @escaping @Sendable (Result<OpenedService, GatewayRefusal>) -> Void
    ) {
        assumeIsolated { $0.give(completion) }
    }

    nonisolated func ended() {
        assumeIsolated { way in
            way.useCount -= 1
            way.checkAnchor()
        }
    }

    /// Closes what is open and forgets what is known.
    nonisolated func close() {
        assumeIsolated { $0.forget(because: "this device is not master any more") }
    }

    // MARK: - Learning

    private func dialAhead() {
        guard case .unknown = state, let endpoint = members.endpoint(worker) else { return }
        services.assumeIsolated { $0.dialAhead(Self.streamCount, to: worker, at: endpoint) }
    }

    private func findOut(_ ballot: Ballot, _ completion: @escaping @Sendable (Manner) -> Void) {
        if self.ballot != ballot { forget(because: "the master's ballot has changed") }
        self.ballot = ballot
        switch state {
        case .known(let facts): completion(.answers(facts))
        case .unknowable: completion(.passes)
        case .learning(let waiting): state = .learning(waiting + [completion])
        case .unknown:
            state = .learning([completion])
            learn(under: ballot)
        }
    }

    private func learn(under ballot: Ballot) {
        round += 1
        let round = round
        probe = RPCFactsProbe()
        // Asked in one breath: what follows the opening goes to the server.
        let question = probe.opening
        timer = loop.schedule(after: Self.learningLimit) { [self] in
            assumeIsolated { $0.fail(round, "its rpc-server did not answer") }
        }
        open(under: ballot, saying: question) { way, result in
            guard way.round == round else { return way.drop(result) }
            switch result {
            case .failure(let refusal): way.fail(round, "\(refusal)")
            case .success(let service): way.hear(service, round)
            }
        }
        // It waits at the server behind the one that asks.
        open(under: ballot, offering: Self.features) { way, result in
            guard way.round == round, case .success(let service) = result else {
                return way.drop(result)
            }
            way.ahead = service
            service.onEvent = { [way] event in
                guard case .closed = event else { return }
                way.assumeIsolated { $0.lostAhead(round) }
            }
        }
    }

    private func hear(_ service: HeldService, _ round: UInt64) {
        asking = service
        service.onEvent = { [self] event in assumeIsolated { $0.heard(event, round) } }
    }

    private func heard(_ event: StreamEvent, _ round: UInt64) {
        guard round == self.round, let asking else { return }
        switch event {
        case .opened: break
        case .received(let bytes):
            do throws(RPCProbeError) {
                switch try probe.receive(bytes) {
                case .needsMore: break
                case .send(let more): asking.send(more)
                case .done(let facts): learned(.known(facts), .answers(facts))
                }
            } catch {
                learned(.unknowable, .passes)
            }
        case .closed:
            // An older server, which wants another greeting.
            learned(.unknowable, .passes)
        }
    }

    private func learned(_ new: State, _ manner: Manner) {
        guard case .learning(let waiting) = state else { return }
        endAsking()
        state = new
        if case .known(let facts) = new {
            memory.learn(facts, engine: members.engine(worker) ?? "")
        } else {
            // The server is of one client at a time, and these come one after the other.
            ahead?.close()
            ahead = nil
        }
        for completion in waiting { completion(manner) }
    }

    private func endAsking() {
        if let timer { loop.cancel(timer) }
        timer = nil
        asking?.close()
        asking = nil
    }

    private func fail(_ round: UInt64, _ reason: String) {
        guard round == self.round, case .learning = state else { return }
        forget(because: reason)
    }

    private func forget(because reason: String) {
        round += 1
        endAsking()
        ahead?.close()
        ahead = nil
        let before = state
        state = .unknown
        guard case .learning(let waiting) = before else { return }
        for completion in waiting { completion(.isClosed(reason: reason)) }
    }

    // MARK: - Streams

    private func open(
        under ballot: Ballot,
        offering features: ServiceFeatures = [],
        saying first: [UInt8] = [],
        _ completion:
            @escaping @Sendable (isolated WorkerWay, Result<HeldService, GatewayRefusal>)
            -> Void
    ) {
        guard let endpoint = members.endpoint(worker) else {
            let refusal = GatewayRefusal.unreachable(message: "it is not here")
            loop.execute { [self] in assumeIsolated { completion($0, .failure(refusal)) } }
            return
        }
        services.hold(
            .rpcServer,
            ballot: ballot,
            of: worker,
            at: endpoint,
            offering: features,
            saying: first
        ) { [self] result in
            assumeIsolated { completion($0, result) }
        }
    }

    private func drop(_ result: Result<HeldService, GatewayRefusal>) {
        if case .success(let service) = result { service.close() }
    }

    private func lostAhead(_ round: UInt64) {
        guard round == self.round else { return }
        ahead = nil
        checkAnchor()
    }

    /// Without a stream nothing tells when another server takes this one's place.
    private func checkAnchor() {
        guard ahead == nil, useCount == 0 else { return }
        switch state {
        case .known, .unknowable: forget(because: "its rpc-server is gone")
        case .unknown, .learning: break
        }
    }

    private func give(
        _ completion: @escaping @Sendable (Result<OpenedService, GatewayRefusal>) -> Void
    ) {
        useCount += 1
        let held = ahead
        ahead = nil
        if let opened = held?.take() {
            completion(.success(opened))
            return
        }
        guard let ballot, let endpoint = members.endpoint(worker) else {
            completion(.failure(.unreachable(message: "it is not here")))
            return
        }
        services.open(
            .rpcServer,
            ballot: ballot,
            of: worker,
            at: endpoint,
            offering: Self.features,
            completion: completion
        )
    }
}
