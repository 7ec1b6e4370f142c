import EventLoop
import Primitives
import SWIM

extension Reach {
    /// Whether the last stream that was tried was refused by the member's system.
    package var isRefused: Bool {
        if case .failed(.refused, _) = dial { true } else { false }
    }

    /// What does not work, for others to know; nil if nothing is known to be broken.
    func gap(at now: Instant) -> ReachGap? {
        let isSilent = datagrams.isBroken(at: now)
        let isClosed = dials.isBroken(at: now)
        guard isSilent || isClosed else { return nil }
        var failures: ReachGap.Failures = []
        if isSilent { failures.insert(.datagrams) }
        if isClosed { failures.insert(.streams) }
        if dialledBy == nil { failures.insert(.neverDialled) }
        return ReachGap(tag: member.tag, failures: failures)
    }
}

// Members tell each other whom they cannot reach.
extension Membership {
    /// How often a member looks whether that has changed.
    private static let gapInterval: Duration = .seconds(5)
    /// How often a stream is tried that could not be opened lately.
    private static let brokenInterval: Duration = .seconds(20)
    /// How long the next trial waits after one that worked: where all is well, nothing presses, and
    /// in the first minute of a cluster these streams would be a fifth of its bytes.
    private static let trialPause: Duration = .seconds(20)

    func followGaps() {
        world.loop.schedule(after: Self.gapInterval) { [self] in
            assumeIsolated { membership in
                // Dismantled: there is nobody to tell.
                guard membership.services != nil else { return }
                membership.tellGaps()
                membership.tryWay()
                membership.followGaps()
            }
        }
    }

    /// Dials one member to which no stream was opened yet, so that it is known whether one can be
    /// before somebody needs it: of each two, one alone dials, as long as all goes well.
    private func tryWay() {
        guard machine.others.presentCount < machine.configuration.allPairsLimit else { return }
        let now = world.loop.now
        guard now >= nextTrial else { return }
        let untried = machine.others.first { member in
            guard member.state == .alive, now - member.since >= Self.gapInterval else {
                return false
            }
            guard let reach = reach(of: member.id) else { return true }
            guard reach.dials.isBroken(at: now) else { return !reach.dials.hasWorked }
            // Firewalls are opened: what is said of them must not be true for minutes after.
            guard case .failed(_, let last) = reach.dial else { return false }
            return now - last >= Self.brokenInterval
        }
        guard let untried else { return }
        nextTrial = now + Self.trialPause
        open(.trial(untried.id), to: untried.endpoint)
    }

    /// Where one way is closed, others may be: they are looked at without a pause.
    func failedTrial(of member: NodeID, _ closure: StreamClosure) {
        nextTrial = .origin
        failedToDial(member, closure)
    }

    func failedToPing(_ target: NodeID, _ closure: StreamClosure) {
        let now = world.loop.now
        note(target) { reach in
            reach.datagrams.failed(at: now)
            reach.dial = .failed(closure, now)
        }
    }

    private func tellGaps() {
        let now = world.loop.now
        let gaps = reaches.compactMap { reach -> ReachGap? in
            // Who is suspect may just be dying; that is told in other words.
            guard machine.others.state(of: reach.member) == .alive else { return nil }
            return reach.gap(at: now)
        }.sorted { $0.tag < $1.tag }
        guard gaps != machine.own.facts.gaps else { return }
        let told = machine.own.facts.with(gaps: gaps)
        if told != machine.own.facts { handle(.facts(told)) }
    }
}
