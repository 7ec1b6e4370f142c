import Primitives

/// What happens to packets between nodes.
///
/// The fate of the n-th packet of a link follows from the seed, the link and n alone: removing a
/// fault leaves every other packet's fate as it was, without which no failure could be shrunk.
/// Only links with a capacity remember more: what is queued.
struct SimulatedNetwork {
    /// How long anything takes within one node.
    static let localLatency: Int64 = 30_000

    private let nodeCount: Int
    private let base: LinkSettings
    private var streams: SeededGenerator
    /// Per directed link: how many packets it has seen.
    private var counts: [UInt32]
    /// Per directed link: how many faults close it now.
    private var blocks: [UInt16]
    private var blockCount = 0
    private var changes: [(id: Int, from: [Int], to: [Int], change: LinkChange)] = []
    /// Per directed link, only while something is changed.
    private var changed: [LinkSettings]?
    private var jams: [(id: Int, from: [Int], to: [Int], end: Int64)] = []
    /// Per node: how many times as long what it sends takes.
    private var slowness: [Double]
    /// When it becomes quiet, in nanoseconds of virtual time.
    private let quietFrom: Int64
    /// Per directed link, once one has a capacity: until when it is sending.
    private var busyUntil: [Int64] = []

    /// What a datagram has around it, and a control packet is.
    static let headerByteCount = 28
    /// How many bytes wait at a link with a capacity; more are dropped at the tail.
    static let queueByteLimit = 65_536
    /// How long after it became quiet what was sent before still arrives: slow devices make
    /// datagrams minutes old, and words of that age about the dead are no quiet network.
    static let quietGrace: Int64 = 1_000_000_000

    init(
        nodeCount: Int,
        settings: LinkSettings,
        quietFrom: Int64 = .max,
        generator: SeededGenerator
    ) {
        self.nodeCount = nodeCount
        self.quietFrom = quietFrom
        base = settings
        slowness = Array(repeating: 1, count: nodeCount)
        streams = generator
        counts = Array(repeating: 0, count: nodeCount * nodeCount)
        blocks = Array(repeating: 0, count: nodeCount * nodeCount)
    }

    enum Fate: Equatable {
        case lost
        /// After so many nanoseconds; the second one is a duplicate.
        case arrives(Int64, again: Int64?, corrupt: Bool)
    }

    /// From now on packets fare otherwise.
    mutating func redraw(_ generator: SeededGenerator) {
        streams = generator
    }

    // MARK: - Packets

    /// - Parameter byteCount: without headers.
    mutating func fate(from: Int, to: Int, byteCount: Int, at now: Int64) -> Fate {
        guard from != to else {
            return .arrives(Self.localLatency, again: nil, corrupt: false)
        }
        let link = from * nodeCount + to
        var draws = nextDraws(link)
        guard blocks[link] == 0 else { return .lost }
        let settings = changed?[link] ?? base
        guard let wait = queueing(link, settings.capacity, byteCount, now) else { return .lost }
        if settings.loss > 0, draws.fraction() < settings.loss { return .lost }
        let held = wait + jamTime(from, to, now)
        let delay = held + slowed(Self.delay(settings, &draws), from)
        if isTooOld(now, delay) { return .lost }
        guard settings.duplicate > 0 || settings.corrupt > 0 else {
            return .arrives(delay, again: nil, corrupt: false)
        }
        let isCorrupt = draws.fraction() < settings.corrupt
        let isDouble = draws.fraction() < settings.duplicate
        var again: Int64?
        if isDouble {
            let second = held + slowed(Self.delay(settings, &draws), from)
            if !isTooOld(now, second) { again = second }
        }
        return .arrives(delay, again: again, corrupt: isCorrupt)
    }

    /// Whether it was sent before the network became quiet, and would arrive long after.
    private func isTooOld(_ sent: Int64, _ delay: Int64) -> Bool {
        sent < quietFrom && delay - Self.quietGrace > quietFrom - sent
    }

    private func slowed(_ delay: Int64, _ node: Int) -> Int64 {
        slowness[node] == 1 ? delay : Int64(Double(delay) * slowness[node])
    }

    private func jamTime(_ from: Int, _ to: Int, _ now: Int64) -> Int64 {
        var time: Int64 = 0
        for jam in jams where jam.from.contains(from) && jam.to.contains(to) {
            time = max(time, jam.end - now)
        }
        return time
    }

    /// How long a packet waits for the link and is being sent; nil if the queue is full.
    private mutating func queueing(
        _ link: Int,
        _ capacity: Int?,
        _ byteCount: Int,
        _ now: Int64
    ) -> Int64? {
        guard let capacity else { return 0 }
        if busyUntil.isEmpty { busyUntil = Array(repeating: 0, count: nodeCount * nodeCount) }
        let nanosecondsPerByte = 1e9 / Double(capacity)
        let wait = max(0, busyUntil[link] - now)
        guard Double(wait) <= nanosecondsPerByte * Double(Self.queueByteLimit) else { return nil }
        let size = Double(byteCount + Self.headerByteCount)
        busyUntil[link] = now + wait + Int64((nanosecondsPerByte * size).rounded(.up))
        return busyUntil[link] - now
    }

    private mutating func nextDraws(_ link: Int) -> SeededGenerator {
        counts[link] &+= 1
        return streams.derived(UInt64(link) << 32 | UInt64(counts[link]))
    }

    private static func delay(
        _ settings: LinkSettings,
        _ draws: inout SeededGenerator
    ) -> Int64 {
        let latency = settings.latency
        let minimum = latency.minimum.wholeNanoseconds
        let spread = Double(latency.mean.wholeNanoseconds - minimum)
        var delay =
            switch latency.distribution {
            case .constant: minimum
            case .uniform: minimum + Int64(2 * spread * draws.fraction())
            case .exponential:
                minimum + Int64(spread * Logarithm.exponential(draws.fraction()))
            }
        if settings.reorder > 0, draws.fraction() < settings.reorder {
            delay += Int64(4 * Double(latency.mean.wholeNanoseconds) * draws.fraction())
        }
        return max(1, delay)
    }

    /// Whether no fault closes any link.
    var isWhole: Bool { blockCount == 0 }

    func isOpen(from: Int, to: Int) -> Bool {
        from == to || blocks[from * nodeCount + to] == 0
    }

    // MARK: - Faults

    mutating func block(from: Int, to: Int) {
        guard from != to else { return }
        blocks[from * nodeCount + to] += 1
        blockCount += 1
    }

    mutating func unblock(from: Int, to: Int) {
        guard from != to else { return }
        blocks[from * nodeCount + to] -= 1
        blockCount -= 1
    }

    mutating func change(_ id: Int, from: [Int], to: [Int], _ change: LinkChange) {
        changes.append((id, from, to, change))
        applyChanges()
    }

    mutating func endChange(_ id: Int) {
        changes.removeAll { $0.id == id }
        applyChanges()
    }

    mutating func jam(_ id: Int, from: [Int], to: [Int], until end: Int64) {
        jams.append((id, from, to, end))
    }

    mutating func endJam(_ id: Int) {
        jams.removeAll { $0.id == id }
    }

    mutating func slow(_ node: Int, by factor: Double) {
        slowness[node] *= factor
    }

    mutating func endSlow(_ node: Int, by factor: Double) {
        slowness[node] /= factor
        // Rounding must not leave a node a hair away from its usual pace.
        if abs(slowness[node] - 1) < 1e-6 { slowness[node] = 1 }
    }

    private mutating func applyChanges() {
        guard !changes.isEmpty else {
            changed = nil
            return
        }
        var settings = Array(repeating: base, count: nodeCount * nodeCount)
        for entry in changes {
            for from in entry.from {
                for to in entry.to { settings[from * nodeCount + to].apply(entry.change) }
            }
        }
        changed = settings
    }
}
