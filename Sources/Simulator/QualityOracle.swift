import Primitives

/// How well a run went, beyond right and wrong: what is counted for every run and bounded by
/// nobody but its reader.
struct QualityOracle {
    private struct Watch {
        var runningSince: Int64?
        var masterlessSince: Int64?
        var downSince: Int64?
    }

    private var watches: [Watch]
    private(set) var figures = QualityFigures()

    init(nodeCount: Int) {
        watches = Array(repeating: Watch(), count: nodeCount)
    }

    mutating func starts(_ host: Int, at now: Int64) {
        watches[host] = Watch(runningSince: now, masterlessSince: now)
    }

    mutating func ends(_ host: Int, at now: Int64) {
        settle(host, at: now)
        watches[host] = Watch(downSince: now)
    }

    mutating func look(at host: Int, _ master: Ballot?, at now: Int64) {
        if master == nil {
            if watches[host].masterlessSince == nil { watches[host].masterlessSince = now }
        } else if let since = watches[host].masterlessSince {
            figures.masterlessTime += .nanoseconds(now - since)
            watches[host].masterlessSince = nil
        }
    }

    /// Somebody takes a member for dead.
    ///
    /// - Parameter isReachable: it runs, and packets pass both ways at this moment; a link that
    ///   has just healed makes this an upper bound of false accusations.
    mutating func buries(_ accused: Int, isReachable: Bool, at now: Int64) {
        figures.deathCount += 1
        if let since = watches[accused].downSince {
            figures.detectionTimes.append(.nanoseconds(now - since))
        } else if isReachable {
            figures.falseAccusationCount += 1
        }
    }

    mutating func finish(at now: Int64) {
        for host in watches.indices { settle(host, at: now) }
    }

    private mutating func settle(_ host: Int, at now: Int64) {
        if let since = watches[host].runningSince {
            figures.runningTime += .nanoseconds(now - since)
        }
        if let since = watches[host].masterlessSince {
            figures.masterlessTime += .nanoseconds(now - since)
        }
        watches[host] = Watch()
    }
}

/// Sums over all nodes of a run.
package struct QualityFigures: Equatable, Sendable {
    /// How long agents ran, and how much of that they obeyed no master.
    package var runningTime: Duration = .zero
    package var masterlessTime: Duration = .zero
    /// How often a member was declared dead by another, and how often it ran and was reachable.
    package var deathCount = 0
    package var falseAccusationCount = 0
    /// How long after its end a member was declared dead, by each that did.
    package var detectionTimes: [Duration] = []
}
