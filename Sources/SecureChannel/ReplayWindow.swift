/// Which places of a peer's counter were taken, so that none is taken twice (RFC 6479).
///
/// Datagrams overtake each other by at most `width` places; what comes later than that is refused
/// unseen.
struct ReplayWindow: Sendable {
    static let width: UInt64 = 1024

    private var words = [UInt64](repeating: 0, count: Int(width / 64) + 1)
    /// One more than the highest place taken.
    private var end: UInt64 = 0

    func permits(_ place: UInt64) -> Bool {
        if place >= end { return true }
        guard end - place <= Self.width else { return false }
        return words[index(place)] & bit(place) == 0
    }

    /// Marks a place that is permitted.
    mutating func take(_ place: UInt64) {
        if place >= end {
            // The words between the old end and the new one hold marks of long ago.
            let last = end == 0 ? 0 : (end - 1) / 64
            let steps = min(place / 64 - last, UInt64(words.count))
            for step in 0..<steps { words[Int((last + 1 + step) % UInt64(words.count))] = 0 }
            end = place + 1
        }
        words[index(place)] |= bit(place)
    }

    private func index(_ place: UInt64) -> Int { Int(place / 64 % UInt64(words.count)) }
    private func bit(_ place: UInt64) -> UInt64 { 1 << (place % 64) }
}
