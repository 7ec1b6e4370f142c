/// Which pieces are kept, and which one goes when room is needed: the one that was used longest
/// ago.
///
/// What was used since a launch began does not make room for more of the same launch: a model
/// larger than the store would otherwise, front to back, push out what it needs next, and find
/// nothing ever. So as much of it as fits stays.
package struct PieceIndex: Sendable {
    /// When something was used, counted in uses.
    package typealias Use = UInt64

    private struct Slot {
        var name: PieceName
        var byteCount: Int
        var lastUse: Use
        /// Towards what was used longer ago, and more lately; -1 at the ends.
        var older: Int
        var newer: Int
    }

    package private(set) var byteLimit: UInt64
    package let countLimit: Int
    package private(set) var byteCount: UInt64 = 0
    /// Only looked up, never iterated.
    private var places: [PieceName: Int] = [:]
    private var slots: [Slot] = []
    private var freeSlots: [Int] = []
    private var oldest = -1
    private var newest = -1
    private var clock: Use = 0

    /// A piece costs about 100 bytes of memory, and a file.
    package static let countLimit = 1 << 16

    package init(byteLimit: UInt64, countLimit: Int = PieceIndex.countLimit) {
        self.byteLimit = byteLimit
        self.countLimit = countLimit
    }

    package var count: Int { places.count }

    /// The moment at which a launch begins.
    package mutating func begin() -> Use {
        clock += 1
        return clock
    }

    package func byteCount(of name: PieceName) -> Int? {
        places[name].map { slots[$0].byteCount }
    }

    /// The piece is used now.
    package mutating func use(_ name: PieceName) {
        guard let place = places[name] else { return }
        unlink(place)
        link(place)
    }

    /// Takes a piece in, and says which ones must go for it; nil if there is no room.
    ///
    /// Those are out of the index then; without room nothing changes.
    ///
    /// - Parameter begin: when the launch began for which it came.
    package mutating func admit(
        _ name: PieceName,
        byteCount: Int,
        since begin: Use
    ) -> [PieceName]? {
        guard places[name] == nil else {
            use(name)
            return []
        }
        guard let victims = victims(for: byteCount, since: begin) else { return nil }
        let names = victims.map { slots[$0].name }
        for name in names { remove(name) }
        add(name, byteCount)
        return names
    }

    private func victims(for byteCount: Int, since begin: Use) -> [Int]? {
        guard countLimit > 0, UInt64(byteCount) <= byteLimit else { return nil }
        var victims: [Int] = []
        var rest = self.byteCount
        var place = oldest
        while rest + UInt64(byteCount) > byteLimit || count - victims.count >= countLimit {
            guard place >= 0, slots[place].lastUse < begin else { return nil }
            victims.append(place)
            rest -= UInt64(slots[place].byteCount)
            place = slots[place].newer
        }
        return victims
    }

    package mutating func remove(_ name: PieceName) {
        guard let place = places.removeValue(forKey: name) else { return }
        unlink(place)
        byteCount -= UInt64(slots[place].byteCount)
        freeSlots.append(place)
    }

    package mutating func removeAll() {
        self = PieceIndex(byteLimit: byteLimit, countLimit: countLimit, clock: clock)
    }

    private init(byteLimit: UInt64, countLimit: Int, clock: Use) {
        self.init(byteLimit: byteLimit, countLimit: countLimit)
        self.clock = clock
    }

    /// Takes what lies in the store already, oldest first, and says what of it must go.
    ///
    /// It was not used since any launch began that is under way now.
    package mutating func load(_ found: [(name: PieceName, byteCount: Int)]) -> [PieceName] {
        for (name, byteCount) in found where places[name] == nil {
            add(name, byteCount)
            slots[newest].lastUse = 0
        }
        return shrink()
    }

    /// Changes the limit, and says what must go.
    package mutating func limit(to byteLimit: UInt64) -> [PieceName] {
        self.byteLimit = byteLimit
        return shrink()
    }

    private mutating func shrink() -> [PieceName] {
        var names: [PieceName] = []
        while oldest >= 0, byteCount > byteLimit || count > countLimit {
            let name = slots[oldest].name
            names.append(name)
            remove(name)
        }
        return names
    }

    // MARK: - The list

    private mutating func add(_ name: PieceName, _ byteCount: Int) {
        let slot = Slot(name: name, byteCount: byteCount, lastUse: 0, older: -1, newer: -1)
        let place: Int
        if let free = freeSlots.popLast() {
            place = free
            slots[free] = slot
        } else {
            place = slots.count
            slots.append(slot)
        }
        places[name] = place
        self.byteCount += UInt64(byteCount)
        link(place)
    }

    private mutating func link(_ place: Int) {
        clock += 1
        slots[place].lastUse = clock
        slots[place].older = newest
        slots[place].newer = -1
        if newest >= 0 { slots[newest].newer = place }
        newest = place
        if oldest < 0 { oldest = place }
    }

    private mutating func unlink(_ place: Int) {
        let (older, newer) = (slots[place].older, slots[place].newer)
        if older >= 0 { slots[older].newer = newer } else { oldest = newer }
        if newer >= 0 { slots[newer].older = older } else { newest = older }
    }
}
