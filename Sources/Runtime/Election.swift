import EventLoop
package import LeaderElection
import Primitives
import SWIM
import Wire

/// Carries the election machine.
package actor Election {
    nonisolated let world: World
    package nonisolated var unownedExecutor: UnownedSerialExecutor {
        world.loop.executor
    }

    private let keeper: StateKeeper
    private let membership: Membership
    package private(set) var machine: ElectionMachine
    private var timers: LoopTimers<ElectionTimer>
    private var barrier = WriteBarrier<ElectionEffect>()
    private var spareEffects: [ElectionEffect] = []
    private var placement: Placement?
    private var wantedFingerprint: UInt64?
    /// Whoever asked for the transfer that is under way, and whoever waits to leave.
    private var onTransferEnd: [@Sendable (TransferOutcome) -> Void] = []
    private var onMayLeave: [@Sendable (Bool) -> Void] = []

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

    func introduce(_ placement: Placement) {
        self.placement = placement
    }

    /// Nothing is done for anybody any more: whoever waits for an answer is let go.
    func dismantle() {
        placement = nil
        onTransferEnd = []
        onMayLeave = []
    }

    package func handle(_ input: ElectionInput) {
        var effects = spareEffects
        spareEffects = []
        machine.handle(input, at: world.loop.now, effects: &effects)
        world.witness?.handled(input, at: world.loop.now, effects: effects)
        perform(effects)
        effects.removeAll(keepingCapacity: effects.capacity <= Self.spareEffectLimit)
        spareEffects = effects
    }

    private static let spareEffectLimit = 64

    func receive(_ message: ElectionMessage, from sender: NodeID) {
        handle(.message(message, from: sender))
    }

    func membersChanged(_ others: MemberTable, _ own: Member) {
        tellStandings(others, own)
    }

    /// The better master holds the model that the cluster wants.
    func wants(_ fingerprint: UInt64?) {
        wantedFingerprint = fingerprint
        let (others, own) = membership.assumeIsolated { ($0.machine.others, $0.machine.own) }
        tellStandings(others, own)
    }

    /// Founds a cluster; false if this device belongs to one, or if the policy knows none.
    func found() -> Bool {
        guard machine.configuration.policy == .quorum, machine.record.configuration == nil else {
            return false
        }
        handle(.found)
        return true
    }

    /// Hands mastership over, to anybody if no target is named; the completion always follows.
    func transfer(
        to target: NodeID?,
        completion: @escaping @Sendable (TransferOutcome) -> Void
    ) {
        guard onTransferEnd.isEmpty else {
            completion(TransferOutcome(target: target, result: .refused(.busy)))
            return
        }
        onTransferEnd = [completion]
        handle(target.map { .transfer(to: $0) } ?? .yield)
    }

    /// Gives up what others count on; the completion says whether the vote was let go, and does
    /// not follow while there is no master.
    func leave(completion: @escaping @Sendable (_ isReleased: Bool) -> Void) {
        onMayLeave.append(completion)
        handle(.leave)
    }

    private func tellStandings(_ others: MemberTable, _ own: Member) {
        var standings: [Standing] = []
        standings.reserveCapacity(others.presentCount + 1)
        let place = others.sortedIndex { $0.id < own.id }
        for index in 0..<place where others[index].state.isPresent {
            standings.append(standing(of: others[index].id, others[index].facts, others, own))
        }
        if own.state.isPresent { standings.append(standing(of: own.id, own.facts, others, own)) }
        for index in place..<others.count where others[index].state.isPresent {
            standings.append(standing(of: others[index].id, others[index].facts, others, own))
        }
        handle(.members(standings))
    }

    private func standing(
        of node: NodeID,
        _ facts: DeviceFacts,
        _ others: MemberTable,
        _ own: Member
    ) -> Standing {
        let glance = facts.glance
        return Standing(
            holdsWantedModel: wantedFingerprint.map(facts.models.contains) ?? true,
            hasEngine: glance.hasEngine,
            node: node,
            takesWork: glance.takesWork,
            reachesEveryWorker: !glance.hasGaps
                || facts.gaps.allSatisfy { gap in
                    !Self.separates(gap, node, from: own)
                        && !others.withTag(gap.tag).contains {
                            Self.separates(gap, node, from: others[$0])
                        }
                },
            isOnMains: glance.isOnMains,
            uptime: glance.uptime,
            policy: glance.policy,
            hearsBeats: glance.vocabulary >= .beats
        )
    }

    /// Whether datagrams of a member do not reach another one that could be a worker, or streams
    /// do not, whichever side dials.
    private static func separates(_ gap: ReachGap, _ member: NodeID, from other: Member) -> Bool {
        guard other.id.tag == gap.tag, other.id != member, other.state.isPresent,
            !other.facts.engine.isEmpty
        else { return false }
        if gap.failures.contains(.datagrams) { return true }
        guard gap.failures.contains(.streams) else { return false }
        let back = other.facts.gaps.first { $0.tag == member.tag }
        return back?.failures.contains(.streams) ?? false
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
            _ = barrier.drop {
                if case .send(let message, _) = $0 { message.isHeartbeat } else { false }
            }
            let isUntold =
                barrier.drop { if case .emit(.elected) = $0 { true } else { false } } > 0
            _ = barrier.drop { if case .emit(.renewed) = $0 { true } else { false } }
            if !isUntold { perform(effect) }
        case .emit(.masterLost):
            _ = barrier.drop { if case .emit(.obeys) = $0 { true } else { false } }
            perform(effect)
        case .setTimer(.lease, _), .cancelTimer(.lease):
            // A lease ends while the disk refuses, too: nobody hears this master meanwhile.
            perform(effect)
        case .emit(.transferEnded), .emit(.mayLeave):
            // Somebody waits for these, and nothing depends on them.
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
            membership.post(.election(message), to: node)
        case .persist(let record):
            barrier.close()
            keeper.assumeIsolated { keeper in
                keeper.update({ $0.election = record }) { [self] in
                    assumeIsolated { $0.persisted() }
                }
            }
        case .setTimer(let timer, let delay):
            timers.set(timer, after: delay) { [self] in isDue(timer) }
        case .cancelTimer(let timer): timers.cancel(timer)
        case .emit(let event): tell(event)
        }
    }

    private func persisted() {
        perform(barrier.open())
    }

    func fired(_ timer: ElectionTimer) {
        timers.fired(timer)
        handle(.timer(timer))
    }

    /// How members are called in what people read.
    private var names: [Member] {
        guard world.observer.readsWords else { return [] }
        return membership.assumeIsolated { $0.machine.others.with($0.machine.own) }
    }

    private func tell(_ event: ElectionEvent) {
        world.observer.log(event.record(own: machine.own, names: names))
        placement?.assumeIsolated { $0.election(event) }
        switch event {
        case .transferEnded(let outcome):
            let completions = onTransferEnd
            onTransferEnd = []
            for completion in completions { completion(outcome) }
        case .mayLeave(let isReleased):
            let completions = onMayLeave
            onMayLeave = []
            for completion in completions { completion(isReleased) }
        case .elected, .renewed, .deposed, .obeys, .masterLost, .stands, .ballotConflict,
            .founded, .votersChanged, .foreign:
            break
        }
        world.observer.changed()
    }
}
