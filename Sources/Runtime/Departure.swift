import EventLoop
import LayerPlacement
import LeaderElection
import Primitives

/// How a device went, or began to be drained.
package struct DepartureReport: Sendable, Equatable {
    /// False for a device that stays, and takes no work.
    package var isForGood: Bool
    /// The master planned the model without this device before it went.
    package var isFree: Bool
    /// Another device is master now; true if this one was not.
    package var hasHandedOver: Bool
    /// No majority counts on its vote any more; always true under the policy `available`.
    package var isReleased: Bool

    package init(
        isForGood: Bool,
        isFree: Bool = true,
        hasHandedOver: Bool = true,
        isReleased: Bool = true
    ) {
        self.isForGood = isForGood
        self.isFree = isFree
        self.hasHandedOver = hasHandedOver
        self.isReleased = isReleased
    }

    /// What did not go as it should, for people.
    package var notes: [String] {
        var notes: [String] = []
        if !isFree {
            notes.append("the model still ran on it: it is placed anew on what remains")
        }
        if !hasHandedOver {
            notes.append(
                isForGood
                    ? "nobody took mastership over: an election follows by itself"
                    : "it is still the master, because no other device could be"
            )
        }
        if !isReleased {
            notes.append(
                "it is still a voter, because no majority could let it go: if the others have no "
                    + "master, start it again"
            )
        }
        return notes
    }
}

/// Takes a device out of its cluster without anybody noticing more than must be: it takes no work
/// any more, hands mastership over, waits until the model runs without it, and gives its vote up.
actor Departure {
    private nonisolated let world: World
    nonisolated var unownedExecutor: UnownedSerialExecutor {
        world.loop.executor
    }

    private let membership: Membership
    private let election: Election
    private let placement: Placement
    private var running: Running?
    private var isLooking = false

    private struct Running {
        let isForGood: Bool
        let deadline: Instant
        var report: DepartureReport
        /// Mastership is being handed over.
        var isHandingOver = false
        var isVoteAsked = false
        var isVoteAnswered = false
        let completion: @Sendable (DepartureReport) -> Void
    }

    /// How long a device waits for the others before it goes anyway.
    private static let limit: Duration = .seconds(20)
    private static let lookInterval: Duration = .milliseconds(100)

    init(world: World, membership: Membership, election: Election, placement: Placement) {
        self.world = world
        self.membership = membership
        self.election = election
        self.placement = placement
    }

    /// - Parameter isForGood: false for a device that goes on without work.
    /// - Returns: false if that is under way already; the completion does not follow then.
    func begin(
        isForGood: Bool,
        completion: @escaping @Sendable (DepartureReport) -> Void
    ) -> Bool {
        var isHandingOver = false
        if let running {
            // Who is being drained may still decide to leave.
            guard isForGood, !running.isForGood else { return false }
            isHandingOver = running.isHandingOver
            running.completion(running.report)
        }
        running = Running(
            isForGood: isForGood,
            deadline: world.loop.now + Self.limit,
            report: DepartureReport(isForGood: isForGood),
            isHandingOver: isHandingOver,
            completion: completion
        )
        world.observer.log(
            LogRecord(
                isForGood ? "agent.leaving" : "agent.draining",
                .notice,
                isForGood
                    ? "Leaving the cluster: no more work is taken, and what runs here moves"
                    : "This device takes no more work until that is undone"
            )
        )
        membership.assumeIsolated { $0.drain(true, isForGood: isForGood) }
        if !isHandingOver { giveUpMastership() }
        if !isLooking { look() }
        return true
    }

    private func giveUpMastership() {
        let own = election.assumeIsolated { $0.machine.own }
        guard placement.assumeIsolated({ $0.obeyed })?.node == own else { return }
        running?.isHandingOver = true
        election.assumeIsolated {
            $0.transfer(to: nil) { [self] outcome in
                assumeIsolated { $0.handedOver(outcome) }
            }
        }
    }

    private func handedOver(_ outcome: TransferOutcome) {
        running?.isHandingOver = false
        running?.report.hasHandedOver = outcome.isDone
    }

    /// Looks how far things are, until they are done or the time is up.
    private func look() {
        isLooking = false
        guard let running else { return }
        let isLate = world.loop.now >= running.deadline
        let isFree = placement.assumeIsolated { $0.isFree }
        // What nobody takes over is not waited for.
        guard isLate || (!running.isHandingOver && (isFree || !running.report.hasHandedOver))
        else {
            lookAgain()
            return
        }
        self.running?.report.isFree = isFree
        if running.isForGood, !running.isVoteAsked {
            self.running?.isVoteAsked = true
            election.assumeIsolated {
                $0.leave { [self] isReleased in
                    assumeIsolated { $0.released(isReleased) }
                }
            }
        }
        guard !running.isForGood || self.running?.isVoteAnswered == true || isLate else {
            lookAgain()
            return
        }
        finish()
    }

    private func lookAgain() {
        isLooking = true
        world.loop.schedule(after: Self.lookInterval) { [self] in
            assumeIsolated { $0.look() }
        }
    }

    private func released(_ isReleased: Bool) {
        running?.isVoteAnswered = true
        running?.report.isReleased = isReleased
    }

    private func finish() {
        guard var report = running?.report, let completion = running?.completion else { return }
        if running?.isForGood == true, running?.isVoteAnswered != true { report.isReleased = false }
        running = nil
        for note in report.notes {
            let done = report.isForGood ? "Left" : "Drained"
            world.observer.log(LogRecord("agent.departure", .warning, "\(done), but \(note)"))
        }
        completion(report)
    }
}

extension Placement {
    /// Whether neither a worker's nor a master's part of a model runs here.
    fileprivate var isFree: Bool { worker.service == nil && launch.attempt == nil }
}
