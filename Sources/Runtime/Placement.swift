import LlamaRPC
import EventLoop
package import LayerPlacement
import LeaderElection
package import Primitives
import SWIM
import Wire

/// Carries the launch machine (as a master) and the worker machine (as a worker).
package actor Placement {
    nonisolated let world: World
    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        world.loop.executor
    }

    private let keeper: StateKeeper
    private let membership: Membership
    private let election: Election
    private let supervisor: Supervisor
    private let probes: StreamProbes
    package private(set) var launch: LaunchMachine
    package private(set) var worker: WorkerMachine
    private var launchTimers: LoopTimers<LaunchTimer>
    private var workerTimers: LoopTimers<WorkerTimer>
    private var barrier = WriteBarrier<LaunchEffect>()
    /// Used again and again; a machine that is driven while effects are performed takes another.
    private var spareLaunchEffects: [LaunchEffect] = []
    private var spareWorkerEffects: [WorkerEffect] = []
    /// The others that took part when that was last told.
    private var present: [NodeID] = []
    /// The ballot that this member obeys, its own included.
    package private(set) var obeyed: Ballot?

    /// How long a worker's RPC server may take to answer the master's probe.
    private static let probeTimeout: Duration = .seconds(3)

    init(
        world: World,
        keeper: StateKeeper,
        membership: Membership,
        election: Election,
        supervisor: Supervisor,
        probes: StreamProbes,
        launch: LaunchMachine,
        worker: WorkerMachine
    ) {
        self.world = world
        self.keeper = keeper
        self.membership = membership
        self.election = election
        self.supervisor = supervisor
        self.probes = probes
        self.launch = launch
        self.worker = worker
        launchTimers = LoopTimers(loop: world.loop)
        workerTimers = LoopTimers(loop: world.loop)
    }

    // MARK: - What happens

    package func handle(_ input: LaunchInput) {
        var effects = spareLaunchEffects
        spareLaunchEffects = []
        launch.handle(input, at: world.loop.now, effects: &effects)
        world.witness?.handled(input, at: world.loop.now, effects: effects)
        perform(effects)
        effects.removeAll(keepingCapacity: effects.capacity <= Self.spareEffectLimit)
        spareLaunchEffects = effects
    }

    private static let spareEffectLimit = 64

    func handle(_ input: WorkerInput) {
        var effects = spareWorkerEffects
        spareWorkerEffects = []
        worker.handle(input, at: world.loop.now, effects: &effects)
        world.witness?.handled(input, at: world.loop.now, effects: effects)
        for effect in effects { perform(effect) }
        effects.removeAll(keepingCapacity: effects.capacity <= Self.spareEffectLimit)
        spareWorkerEffects = effects
    }

    func receive(_ message: PlacementMessage, from sender: NodeID) {
        switch message {
        case .order(let order): handle(.order(order, from: sender))
        case .report(var report):
            // Port 0: through its agent only.
            if report.endpoint.port == 0, let way = world.tunnels?.endpoint(to: sender) {
                report.endpoint = way
            }
            handle(.report(report, from: sender))
        case .wanted(let state): handle(.heard(state, from: sender))
        case .progress(let report):
            guard report.ballot == obeyed, report.ballot.node == sender else { return }
            handle(.progress(report))
        case .transfers(let report):
            guard report.ballot == obeyed, report.ballot.node == sender else { return }
            handle(.transfers(report))
        }
    }

    func membersChanged(_ others: MemberTable, _ own: Member) {
        endStreams(to: others)
        // Whom this device cannot dial now: its word on itself, as all others hear it.
        let unreachable = own.facts.gaps.filter { $0.failures.contains(.streams) }.map(\.tag)
        var candidates: [WorkerCandidate] = []
        for place in others.indices {
            guard others[place].state.isPresent, others[place].facts.glance.hasEngine,
                others[place].facts.glance.takesWork
            else { continue }
            let id = others[place].id
            candidates.append(
                WorkerCandidate(
                    node: id,
                    memory: others[place].facts.memoryAvailable,
                    isReachable: !unreachable.contains(id.tag) || dialsHere(id)
                )
            )
        }
        handle(.candidates(candidates))
    }

    /// A member that cannot be dialled, and dials this device: streams to it go that way, where
    /// they go through agents.
    private func dialsHere(_ member: NodeID) -> Bool {
        guard world.tunnels != nil else { return false }
        return membership.assumeIsolated { $0.reach(of: member)?.dialledBy != nil }
    }

    /// Who is gone answers nothing any more, and a llama-server that waits for it would wait for
    /// a quarter of an hour; both views are sorted by node.
    private func endStreams(to others: MemberTable) {
        var place = others.startIndex
        for member in present {
            while place < others.endIndex, others[place].id < member { place += 1 }
            let isHere =
                place < others.endIndex && others[place].id == member
                && others[place].state.isPresent
            if !isHere { world.streams.endSplices(with: member) }
        }
        present.removeAll(keepingCapacity: true)
        for place in others.indices where others[place].state.isPresent {
            present.append(others[place].id)
        }
    }

    func election(_ event: ElectionEvent) {
        switch event {
        case .elected(let ballot), .renewed(let ballot):
            obeyed = ballot
            world.streams.endSplices(before: ballot)
            world.tunnels?.opens(under: ballot)
            handle(.obeys(ballot))
            handle(.reigns(ballot))
        case .obeys(let ballot):
            obeyed = ballot
            // Fencing: what the master before opened here ends before the new one is served.
            world.streams.endSplices(before: ballot)
            world.tunnels?.opens(under: nil)
            handle(.obeys(ballot))
            handle(.follows(ballot))
        case .deposed, .masterLost:
            obeyed = nil
            handle(.obeys(nil))
            handle(.follows(nil))
        case .stands, .ballotConflict, .founded, .votersChanged, .foreign, .transferEnded,
            .mayLeave:
            break
        }
    }

    /// The RPC server of this device, as the supervisor sees it.
    func rpcServer(_ event: SupervisedServer) {
        switch event {
        case .ready(let instance): handle(.serverReady(instance: instance))
        case .down: handle(.serverDown)
        case .gaveUp(let reason): handle(.serverFailed(reason: reason))
        }
    }

    // MARK: - What is done

    private func perform(_ effects: [LaunchEffect]) {
        for effect in effects {
            if barrier.isClosed { barrier.hold(effect) } else { perform(effect) }
        }
    }

    private func perform(_ effect: LaunchEffect) {
        switch effect {
        case .send(let message, let node):
            membership.post(.placement(message), to: node)
            if case .order(let order) = message, order.serves {
                world.tunnels?.prepare(for: node)
            }
        case .broadcast(let message):
            membership.postToAll(.placement(message))
        case .persist(let state): persist(state)
        case .readModel(let model, let session):
            world.models.readFacts(of: model) { [self] result in
                assumeIsolated { $0.handle(.modelRead(session, result)) }
            }
        case .probe(let endpoint, let node, let session):
            probes.assumeIsolated { probes in
                probes.probeRPC(at: endpoint, timeout: Self.probeTimeout) { [self] result in
                    let count = result.map { max(1, $0.devices.count) }
                    assumeIsolated { $0.handle(.probed(session, node, count)) }
                }
            }
        case .startServer(let server, let session):
            supervisor.assumeIsolated { $0.startLlamaServer(server, session) }
        case .stopServer: supervisor.assumeIsolated { $0.stopLlamaServer() }
        case .readTransfers:
            if let tunnels = world.tunnels { handle(.transferred(tunnels.transfers())) }
        case .setTimer(let timer, let delay):
            launchTimers.set(timer, after: delay) { [self] in isDue(timer) }
        case .cancelTimer(let timer): launchTimers.cancel(timer)
        case .emit(let event): tell(event)
        case .serving(let isServing): election.assumeIsolated { $0.handle(.serving(isServing)) }
        }
    }

    private func persist(_ state: WantedState) {
        barrier.close()
        election.assumeIsolated { $0.wants(state.model?.fingerprint) }
        keeper.assumeIsolated { keeper in
            keeper.update({ $0.wanted = state }) { [self] in
                assumeIsolated { $0.persisted() }
            }
        }
    }

    private func persisted() {
        perform(barrier.open())
    }

    func fired(_ timer: LaunchTimer) {
        launchTimers.fired(timer)
        handle(.timer(timer))
    }

    private func perform(_ effect: WorkerEffect) {
        switch effect {
        case .startServer: supervisor.assumeIsolated { $0.startRPCServer() }
        case .stopServer: supervisor.assumeIsolated { $0.stopRPCServer() }
        case .report(let report, let node):
            membership.post(.placement(.report(report)), to: node)
        case .setTimer(let timer, let delay):
            workerTimers.set(timer, after: delay) { [self] in isDue(timer) }
        case .cancelTimer(let timer): workerTimers.cancel(timer)
        case .emit(let event): world.observer.log(event.record)
        }
    }

    func fired(_ timer: WorkerTimer) {
        workerTimers.fired(timer)
        handle(.timer(timer))
    }

    private func tell(_ event: LaunchEvent) {
        let names =
            world.observer.readsWords
            ? membership.assumeIsolated { $0.machine.others.with($0.machine.own) } : []
        for record in event.records(names: names) { world.observer.log(record) }
        world.observer.changed()
    }
}
