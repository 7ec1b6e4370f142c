import Primitives

/// How long a member stays suspect before it is declared dead (Lifeguard §3.2).
///
/// The more members accuse independently, the shorter: from `maximum` with one accuser down to
/// `minimum` with `confirmations` more.
struct Suspicion: Equatable {
    private(set) var started: Instant
    let minimum: Duration
    let maximum: Duration
    let confirmations: Int
    /// Who accused, the first accuser included; sorted.
    private(set) var accusers: [NodeID]
    /// What was found by looking can end it sooner.
    private var end: Instant?
    /// The accused one's own system says that it is gone.
    var isOfGoneProcess = false

    init(
        by accuser: NodeID,
        at now: Instant,
        minimum: Duration,
        maximum: Duration,
        confirmations: Int
    ) {
        started = now
        self.minimum = minimum
        self.maximum = confirmations < 1 ? minimum : maximum
        self.confirmations = confirmations
        accusers = [accuser]
    }

    /// Notes one more accuser; false if it adds nothing.
    mutating func confirm(by accuser: NodeID) -> Bool {
        guard accusers.count <= confirmations, !accusers.contains(accuser) else { return false }
        accusers.append(accuser)
        return true
    }

    /// It ends at that moment at the latest.
    mutating func limit(to moment: Instant) {
        end = min(moment, end ?? moment)
    }

    /// It does not end before that moment.
    mutating func delay(until moment: Instant) {
        guard moment > deadline else { return }
        started += moment - deadline
        if end != nil { end = moment }
    }

    /// The moment at which the member counts as dead.
    var deadline: Instant {
        min(end ?? shrinkingDeadline, shrinkingDeadline)
    }

    private var shrinkingDeadline: Instant {
        guard confirmations > 0 else { return started + minimum }
        let confirmed = Double(accusers.count - 1)
        let share = Logarithm.ratio(confirmed + 1, Double(confirmations) + 1)
        let timeout = maximum - (maximum - minimum).scaled(by: share)
        return started + max(minimum, timeout)
    }
}
