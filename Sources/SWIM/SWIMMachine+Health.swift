import Primitives

// Doubt of oneself (Lifeguard §3.1), and what gives reason for it.
extension SWIMMachine {
    /// How much slower this agent goes because it doubts itself.
    var healthFactor: Int { configuration.parts.stretchesProbes ? localHealth + 1 : 1 }

    mutating func charge(_ count: Int) {
        localHealth = min(configuration.localHealthLimit, localHealth + count)
    }

    /// A timer that comes much too late means that this agent stood still, or slept with its
    /// device: what it waited for may have come long ago, and was not read yet.
    mutating func noticeLag(
        of timer: SWIMTimer,
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        guard let due = dues.remove(timer), configuration.parts.noticesOwnStalls
        else { return }
        // Of many timers that came late together, the first one tells of the time; the others would
        // count it again.
        let lag = now - max(due, stoodStillUntil)
        guard lag > configuration.lagLimit else { return }
        stoodStillUntil = now
        charge(1 + Int(clamping: lag.wholeMilliseconds / 1000))
        stoodStill(for: lag, at: now, &effects)
    }

    /// Accuses nobody for a round, and gives the accused the time that it did not listen.
    private mutating func stoodStill(
        for time: Duration,
        at now: Instant,
        _ effects: inout [SWIMEffect]
    ) {
        accusesFrom = now + configuration.period * 2
        for probe in probes { _ = endProbe(probe.number, &effects) }
        for place in contacts.indices { contacts[place].losesRhythm() }
        for position in suspicions.indices {
            let deadline = max(suspicions[position].suspicion.deadline + time, accusesFrom)
            suspicions[position].suspicion.delay(until: deadline)
            restartTimer(of: position, at: now, &effects)
        }
    }
}
