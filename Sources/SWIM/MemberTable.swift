public import Primitives

/// The other members, sorted by id.
///
/// A stored part of the machine, so that one member is looked up without a copy of anything else:
/// that happens for every datagram. Ids are apart, so that a search touches little memory, and
/// members stay where they are: a thousand of them would be moved each time that one joins.
@usableFromInline package struct MemberTable: Sendable {
    /// Sorted.
    @usableFromInline var ids: [NodeID] = []
    /// For each id, where in `members` its member is.
    @usableFromInline var slots: [Int32] = []
    @usableFromInline var members: [Member] = []
    /// How many of them take part.
    package private(set) var presentCount = 0

    init() {}

    /// Where the member is; nil if it is unknown.
    package func place(of id: NodeID) -> Int? {
        let place = insertionPlace(of: id)
        return place < ids.count && ids[place] == id ? place : nil
    }

    private func insertionPlace(of id: NodeID) -> Int {
        ids.sortedIndex { $0 < id }
    }

    package func member(_ id: NodeID) -> Member? {
        place(of: id).map { self[$0] }
    }

    /// Nil for whoever is unknown.
    package func state(of id: NodeID) -> MemberState? {
        guard let place = place(of: id) else { return nil }
        return self[place].state
    }

    package func endpoint(of id: NodeID) -> Endpoint? {
        guard let place = place(of: id) else { return nil }
        return self[place].endpoint
    }

    /// Whether the member takes part.
    package func isPresent(_ id: NodeID) -> Bool {
        guard let place = place(of: id) else { return false }
        return self[place].state.isPresent
    }

    /// The places of those whose ids begin with these 32 bits.
    package func withTag(_ tag: UInt32) -> Range<Int> {
        let start = ids.sortedIndex { $0.tag < tag }
        var end = start
        while end < ids.count, ids[end].tag == tag { end += 1 }
        return start..<end
    }

    /// Every one of them, and one more, sorted by id.
    package func with(_ own: Member) -> [Member] {
        let place = insertionPlace(of: own.id)
        var all: [Member] = []
        all.reserveCapacity(ids.count + 1)
        for next in 0..<place { all.append(self[next]) }
        all.append(own)
        for next in place..<ids.count { all.append(self[next]) }
        return all
    }

    mutating func insert(_ member: Member) {
        let place = insertionPlace(of: member.id)
        ids.insert(member.id, at: place)
        slots.insert(Int32(members.count), at: place)
        members.append(member)
        if member.state.isPresent { presentCount += 1 }
    }

    mutating func remove(_ id: NodeID) {
        guard let place = place(of: id), let last = members.last else { return }
        let slot = Int(slots[place])
        if members[slot].state.isPresent { presentCount -= 1 }
        // The last one takes its slot.
        if let moved = self.place(of: last.id) { slots[moved] = Int32(slot) }
        members[slot] = last
        members.removeLast()
        ids.remove(at: place)
        slots.remove(at: place)
    }
}

extension MemberTable: RandomAccessCollection {
    @inlinable package var startIndex: Int { 0 }
    @inlinable package var endIndex: Int { ids.count }

    @usableFromInline package internal(set) subscript(place: Int) -> Member {
        // Other modules look at members by the dozen: unless it is inlined, each look allocates, and
        // unless it is a span's, each copies the member.
        @inlinable _read { yield members.span[Int(slots[place])] }
        _modify {
            let slot = Int(slots[place])
            let wasPresent = members[slot].state.isPresent
            yield &members[slot]
            let isPresent = members[slot].state.isPresent
            if wasPresent != isPresent { presentCount += isPresent ? 1 : -1 }
        }
    }
}
