import EventLoop
package import LeaderElection
import Primitives
import SWIM
import Wire

/// Carries the election machine.
package actor Election {
    private nonisolated let world: World
    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        world.loop.executor
    }

    private let keeper: StateKeeper
    private let membership: Membership
    package private(set) var machine: ElectionMachine
    private var timers: LoopTimers<ElectionTimer>
    private var barrier = WriteBarrier<ElectionEffect>()
    private var placement: Placement?
    private var view: [Member] = []
    private var wantedFingerprint: UInt64?

    init(
        world: World,
        keeper: StateKeeper,
        membership: Membership,
        machine: ElectionMachine
    ) {
        self.world = world
        self.keeper = keeper
        self.membership = membership
        self.machine = machine
        timers = LoopTimers(loop: world.loop)
    }

    func introduce(_ placement: Placement?) {
        self.placement = placement
    }

    package func handle(_ input: ElectionInput) {
        var effects: [ElectionEffect] = []
        machine.handle(input, at: world.loop.now, effects: &effects)
        world.witness?.handled(input, at: world.loop.now, effects: effects)
        perform(effects)
    }

    func receive(_ message: ElectionMessage, from sender: NodeID) {
        handle(.message(message, from: sender))
    }

    func membersChanged(_ view: [Member]) {
        self.view = view
        tellStandings()
    }

    /// The better master holds the model that the cluster wants.
    func wants(_ fingerprint: UInt64?) {
        wantedFingerprint = fingerprint
        tellStandings()
    }

    private func tellStandings() {
        let standings = view.filter(\.state.isPresent).map { member in
            Standing(
                holdsWantedModel: wantedFingerprint.map(member.facts.models.contains) ?? true,
                hasEngine: !member.facts.engine.isEmpty,
                node: member.id
            )
        }
        handle(.members(standings))
    }

    private func perform(_ effects: [ElectionEffect]) {
        for effect in effects {
            if barrier.isClosed { hold(effect) } else { perform(effect) }
        }
    }

    /// Keeps an effect until the disk has what must be there first, but for the loss of mastery:
    /// who may not go on must not wait for a disk to hear it.
    private func hold(_ effect: ElectionEffect) {
        switch effect {
        case .emit(.deposed):
            _ = barrier.drop { if case .send(.heartbeat, _) = $0 { true } else { false } }
            let isUntold =
                barrier.drop { if case .emit(.elected) = $0 { true } else { false } } > 0
            _ = barrier.drop { if case .emit(.renewed) = $0 { true } else { false } }
            if !isUntold { perform(effect) }
        case .emit(.masterLost):
            _ = barrier.drop { if case .emit(.obeys) = $0 { true } else { false } }
            perform(effect)
        case .send, .persist, .setTimer, .cancelTimer, .emit:
            barrier.hold(effect)
            guard barrier.heldCount > Self.heldLimit else { return }
            // Messages get lost on networks too; a disk may be full for days.
            barrier.dropFirst { if case .send = $0 { true } else { false } }
        }
    }

    private static let heldLimit = 1024

    private func perform(_ effect: ElectionEffect) {
        switch effect {
        case .send(let message, let node):
            membership.assumeIsolated { $0.send(.election(message), to: node) }
        case .persist(let record):
            barrier.close()
            keeper.assumeIsolated { keeper in
                keeper.update({ $0.election = record }) { [self] in
                    assumeIsolated { $0.persisted() }
                }
            }
        case .setTimer(let timer, let delay):
            timers.set(timer, after: delay) { [self] in assumeIsolated { $0.fired(timer) } }
        case .cancelTimer(let timer): timers.cancel(timer)
        case .emit(let event): tell(event)
        }
    }

    private func persisted() {
        perform(barrier.open())
    }

    private func fired(_ timer: ElectionTimer) {
        timers.fired(timer)
        handle(.timer(timer))
    }

    private func tell(_ event: ElectionEvent) {
        world.observer.log(event.record(own: machine.own, names: view))
        placement?.assumeIsolated { $0.election(event) }
        world.observer.changed()
    }
}
