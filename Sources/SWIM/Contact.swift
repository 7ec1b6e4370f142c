package import Primitives

/// What this agent itself has seen of a member, as against what it was told.
package struct Contact: Equatable, Sendable {
    package let id: NodeID
    /// When a datagram of the member arrived last.
    package internal(set) var lastHeard: Instant?
    /// From a probe to its direct answer; nil before the first one.
    package internal(set) var roundTrip: RoundTrip?
    /// Whether an idle stream stands between the two, whoever dialled.
    package internal(set) var isWatched = false
    /// How far apart its datagrams come, on average, and how many have come.
    var gap: Duration = .seconds(10)
    var heardCount = 0
    /// Since when something waits for its answer, while it is not heard.
    private var unansweredSince: Instant?
    /// Its silence has been looked into, which is done once.
    private var wasMissed = false
    /// When evidence last led to a probe of its own.
    var lastAlarm: Instant?

    init(id: NodeID) {
        self.id = id
    }

    /// From how many datagrams on a rhythm can be told.
    private static let rhythmCount = 8
    /// Who speaks at least this often is missed when it falls silent: a master and its followers.
    private static let rhythmLimit: Duration = .milliseconds(850)
    private static let shortestSilence: Duration = .milliseconds(1100)

    mutating func heard(at now: Instant) {
        if let lastHeard {
            let latest = min(now - lastHeard, .seconds(10))
            gap = gap.scaled(by: 0.8) + latest.scaled(by: 0.2)
            // The first gaps tell more than what was assumed before them.
            if heardCount < 4 { gap = latest }
        }
        heardCount += 1
        lastHeard = now
        unansweredSince = nil
        if isRegular { wasMissed = false }
    }

    var isRegular: Bool { heardCount >= Self.rhythmCount && gap < Self.rhythmLimit }

    /// From when on its silence is evidence; nil if it has no rhythm, and nothing waits for it.
    var silentFrom: Instant? {
        let unanswered = unansweredSince.map { $0 + Self.shortestSilence }
        guard isRegular, let lastHeard else { return unanswered }
        let irregular = lastHeard + max(Self.shortestSilence, gap.scaled(by: 2.2))
        return min(irregular, unanswered ?? irregular)
    }

    /// Something was sent to it that it answers at once.
    mutating func awaitsAnswer(from now: Instant) {
        if unansweredSince == nil, !wasMissed { unansweredSince = now }
    }

    /// Its silence is looked into.
    mutating func isMissed() {
        losesRhythm()
        wasMissed = true
    }

    /// Forgets its rhythm, which it has lost, and what was waited for.
    mutating func losesRhythm() {
        heardCount = 0
        gap = .seconds(10)
        unansweredSince = nil
    }
}

/// A round-trip time as TCP estimates it (Jacobson 1988): smoothed, with its mean deviation.
package struct RoundTrip: Equatable, Sendable {
    package private(set) var smoothed: Duration
    package private(set) var deviation: Duration
    package private(set) var latest: Duration

    init(first: Duration) {
        smoothed = first
        deviation = first.scaled(by: 0.5)
        latest = first
    }

    mutating func add(_ sample: Duration) {
        let error = sample - smoothed
        smoothed += error.scaled(by: 0.125)
        deviation +=
            (error < .zero ? .zero - error : error).scaled(by: 0.25)
            - deviation.scaled(by: 0.25)
        latest = sample
    }

    /// Beyond this an answer is late.
    var timeout: Duration { smoothed + deviation * 4 }
}
