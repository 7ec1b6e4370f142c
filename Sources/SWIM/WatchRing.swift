package import Primitives

/// Between whom idle streams are kept, so that the death of a process is seen by its watchers at
/// once.
///
/// Every two up to a limit; above it each member and the next few in the ring of sorted ids: a
/// fixed number of streams each, and every member is watched by as many.
package enum WatchRing {
    /// Whom a member dials; of every pair at most one dials the other first.
    ///
    /// - Parameter others: sorted by id, without the member itself.
    package static func dialled(
        by own: NodeID,
        among others: [NodeID],
        allPairsLimit: Int,
        count: Int
    ) -> [NodeID] {
        guard others.count + 1 > allPairsLimit else { return others.filter { own < $0 } }
        let start = others.firstIndex { own < $0 } ?? 0
        return (0..<min(count, others.count)).map { others[(start + $0) % others.count] }.sorted()
    }

    /// Who dials a member.
    package static func diallers(
        of own: NodeID,
        among others: [NodeID],
        allPairsLimit: Int,
        count: Int
    ) -> [NodeID] {
        guard others.count + 1 > allPairsLimit else { return others.filter { $0 < own } }
        let end = (others.firstIndex { own < $0 } ?? 0) + others.count
        return (1...min(count, others.count)).map { others[(end - $0) % others.count] }.sorted()
    }
}
