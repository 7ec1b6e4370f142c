import Primitives

/// How long a member stays suspect before it is declared dead (Lifeguard §3.2).
///
/// The more members accuse independently, the shorter: from `maximum` with one accuser down to
/// `minimum` with `confirmations` more.
struct Suspicion: Equatable {
    let started: Instant
    let minimum: Duration
    let maximum: Duration
    let confirmations: Int
    /// Who accused, the first accuser included; sorted.
    private(set) var accusers: [NodeID]

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

    /// The moment at which the member counts as dead.
    var deadline: Instant {
        guard confirmations > 0 else { return started + minimum }
        let confirmed = Double(accusers.count - 1)
        let share = Logarithm.ratio(confirmed + 1, Double(confirmations) + 1)
        let timeout = maximum - (maximum - minimum).scaled(by: share)
        return started + max(minimum, timeout)
    }
}
