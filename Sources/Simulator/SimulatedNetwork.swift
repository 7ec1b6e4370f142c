import Primitives

/// What happens to packets between nodes.
///
/// The fate of the n-th packet of a link follows from the seed, the link and n alone: removing a
/// fault leaves every other packet's fate as it was, without which no failure could be shrunk.
struct SimulatedNetwork {
    /// How long anything takes within one node.
    static let localLatency: Int64 = 30_000

    private let nodeCount: Int
    private let base: LinkSettings
    private let streams: SeededGenerator
    /// Per directed link: how many packets it has seen.
    private var counts: [UInt32]
    /// Per directed link: how many faults close it now.
    private var blocks: [UInt16]
    private var changes: [(id: Int, from: [Int], to: [Int], change: LinkChange)] = []
    /// Per directed link, only while something is changed.
    private var changed: [LinkSettings]?

    init(nodeCount: Int, settings: LinkSettings, generator: SeededGenerator) {
        self.nodeCount = nodeCount
        base = settings
        streams = generator
        counts = Array(repeating: 0, count: nodeCount * nodeCount)
        blocks = Array(repeating: 0, count: nodeCount * nodeCount)
    }

    enum Fate: Equatable {
        case lost
        /// After so many nanoseconds; the second one is a duplicate.
        case arrives(Int64, again: Int64?, corrupt: Bool)
    }

    // MARK: - Packets

    mutating func fate(from: Int, to: Int) -> Fate {
        guard from != to else {
            return .arrives(Self.localLatency, again: nil, corrupt: false)
        }
        let link = from * nodeCount + to
        var draws = nextDraws(link)
        guard blocks[link] == 0 else { return .lost }
        let settings = changed?[link] ?? base
        if settings.loss > 0, draws.fraction() < settings.loss { return .lost }
        let delay = Self.delay(settings, &draws)
        guard settings.duplicate > 0 || settings.corrupt > 0 else {
            return .arrives(delay, again: nil, corrupt: false)
        }
        let isCorrupt = draws.fraction() < settings.corrupt
        let isDouble = draws.fraction() < settings.duplicate
        return .arrives(
            delay,
            again: isDouble ? Self.delay(settings, &draws) : nil,
            corrupt: isCorrupt
        )
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

    func isOpen(from: Int, to: Int) -> Bool {
        from == to || blocks[from * nodeCount + to] == 0
    }

    // MARK: - Faults

    mutating func block(from: Int, to: Int) {
        guard from != to else { return }
        blocks[from * nodeCount + to] += 1
    }

    mutating func unblock(from: Int, to: Int) {
        guard from != to else { return }
        blocks[from * nodeCount + to] -= 1
    }

    mutating func change(_ id: Int, from: [Int], to: [Int], _ change: LinkChange) {
        changes.append((id, from, to, change))
        applyChanges()
    }

    mutating func endChange(_ id: Int) {
        changes.removeAll { $0.id == id }
        applyChanges()
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
