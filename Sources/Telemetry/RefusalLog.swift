package import Primitives

/// Decides which of many like events are worth a line in the log.
///
/// Whoever can send us a datagram could otherwise fill our disk with refusals: per reason, the
/// first event is said, then the tenth, the hundredth and so on, and any after a quiet minute.
/// Reasons beyond the limit share one entry, so that a sender cannot fill our memory by inventing
/// reasons either. Pure: time arrives as an argument.
package struct RefusalLog: Sendable {
    package static let other = "other"

    package enum Verdict: Equatable, Sendable {
        case keepQuiet
        /// Log it, with the reason it was counted under (`other` beyond the limit), how often it
        /// came in all, and how often since the last line.
        case say(reason: String, total: UInt64, sinceLast: UInt64)
    }

    private struct Entry {
        var reason: String
        var total: UInt64
        var saidTotal: UInt64
        var saidAt: Instant
    }

    /// In order of first appearance; few enough to search through.
    private var entries: [Entry] = []
    private let reasonLimit: Int
    private let quietPeriod: Duration

    package init(reasonLimit: Int = 64, quietPeriod: Duration = .seconds(60)) {
        precondition(reasonLimit >= 1, "there must be room for one reason")
        self.reasonLimit = reasonLimit
        self.quietPeriod = quietPeriod
    }

    package mutating func count(_ reason: String, at now: Instant) -> Verdict {
        let index = index(of: reason)
        entries[index].total += 1
        let entry = entries[index]
        let isDue =
            entry.total.isPowerOfTen
            || now - entry.saidAt >= quietPeriod
        guard isDue else { return .keepQuiet }
        entries[index].saidTotal = entry.total
        entries[index].saidAt = now
        return .say(
            reason: entry.reason,
            total: entry.total,
            sinceLast: entry.total - entry.saidTotal
        )
    }

    /// How often each reason came, in order of first appearance.
    package var totals: [(reason: String, total: UInt64)] {
        entries.map { (reason: $0.reason, total: $0.total) }
    }

    private mutating func index(of reason: String) -> Int {
        if let index = entries.firstIndex(where: { $0.reason == reason }) { return index }
        let isRoomLeft = entries.count < reasonLimit || reason == Self.other
        let counted = isRoomLeft ? reason : Self.other
        if let index = entries.firstIndex(where: { $0.reason == counted }) { return index }
        entries.append(Entry(reason: counted, total: 0, saidTotal: 0, saidAt: .origin))
        return entries.count - 1
    }
}
