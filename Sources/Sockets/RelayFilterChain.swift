/// Several filters of one pair, in the order in which bytes from the first side meet them.
///
/// Each sees what the one before it passed on, and may answer in either direction.
package final class RelayFilterChain: RelayFilter {
    private let filters: [any RelayFilter]

    package init(_ filters: [any RelayFilter]) {
        self.filters = filters
    }

    package func pass(
        _ bytes: ArraySlice<UInt8>,
        from side: RelaySide,
        toFirst: inout [UInt8],
        toSecond: inout [UInt8]
    ) throws(RelayFilterError) {
        let nearest = side == .first ? 0 : filters.count - 1
        try run(bytes, from: side, at: nearest, &toFirst, &toSecond)
    }

    package func ended(
        _ side: RelaySide,
        toFirst: inout [UInt8],
        toSecond: inout [UInt8]
    ) throws(RelayFilterError) {
        let indices = Array(filters.indices)
        for index in side == .first ? indices : indices.reversed() {
            var (back, forth): ([UInt8], [UInt8]) = ([], [])
            try filters[index].ended(side, toFirst: &back, toSecond: &forth)
            try spread(back, forth, from: index, &toFirst, &toSecond)
        }
    }

    package func begin(wake: @escaping @Sendable () -> Void) {
        for filter in filters { filter.begin(wake: wake) }
    }

    package func takesMore(from side: RelaySide) -> Bool {
        filters.allSatisfy { $0.takesMore(from: side) }
    }

    package var expectsMore: Bool { filters.contains { $0.expectsMore } }

    package func hasMore(for side: RelaySide) -> Bool {
        filters.contains { $0.hasMore(for: side) }
    }

    package func goOn(
        for side: RelaySide,
        toFirst: inout [UInt8],
        toSecond: inout [UInt8]
    ) throws(RelayFilterError) {
        guard let index = filters.firstIndex(where: { $0.hasMore(for: side) }) else { return }
        var (back, forth): ([UInt8], [UInt8]) = ([], [])
        try filters[index].goOn(for: side, toFirst: &back, toSecond: &forth)
        try spread(back, forth, from: index, &toFirst, &toSecond)
    }

    package var checkInterval: Duration? { filters.compactMap(\.checkInterval).min() }

    package func check(_ glance: RelayGlance) throws(RelayFilterError) {
        for filter in filters { try filter.check(glance) }
    }

    private func run(
        _ bytes: ArraySlice<UInt8>,
        from side: RelaySide,
        at index: Int,
        _ toFirst: inout [UInt8],
        _ toSecond: inout [UInt8]
    ) throws(RelayFilterError) {
        guard index >= 0 else {
            toFirst += bytes
            return
        }
        guard index < filters.count else {
            toSecond += bytes
            return
        }
        // At the ends of the chain what a filter says goes straight to where it is read.
        let isLast = index == filters.count - 1
        if index == 0, isLast {
            return try filters[0].pass(bytes, from: side, toFirst: &toFirst, toSecond: &toSecond)
        }
        var (back, forth): ([UInt8], [UInt8]) = ([], [])
        try filters[index].pass(bytes, from: side, toFirst: &back, toSecond: &forth)
        try spread(back, forth, from: index, &toFirst, &toSecond)
    }

    /// Gives what a filter said to its neighbours.
    private func spread(
        _ back: [UInt8],
        _ forth: [UInt8],
        from index: Int,
        _ toFirst: inout [UInt8],
        _ toSecond: inout [UInt8]
    ) throws(RelayFilterError) {
        if !back.isEmpty {
            try run(back[...], from: .second, at: index - 1, &toFirst, &toSecond)
        }
        if !forth.isEmpty {
            try run(forth[...], from: .first, at: index + 1, &toFirst, &toSecond)
        }
    }
}
