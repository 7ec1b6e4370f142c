package import Primitives

/// The other members, sorted by id.
///
/// A stored part of the machine, so that one member is looked up without a copy of anything else:
/// that happens for every datagram.
package struct MemberTable: Sendable {
    private var members: [Member] = []
    /// How many of them take part.
    package private(set) var presentCount = 0

    init() {}

    /// Where the member is; nil if it is unknown.
    package func place(of id: NodeID) -> Int? {
        let place = insertionPlace(of: id)
        return place < members.count && members[place].id == id ? place : nil
    }

    func insertionPlace(of id: NodeID) -> Int {
        members.sortedIndex { $0.id < id }
    }

    package func member(_ id: NodeID) -> Member? {
        place(of: id).map { members[$0] }
    }

    /// Nil for whoever is unknown.
    package func state(of id: NodeID) -> MemberState? {
        place(of: id).map { members[$0].state }
    }

    package func endpoint(of id: NodeID) -> Endpoint? {
        place(of: id).map { members[$0].endpoint }
    }

    /// Whether the member takes part.
    package func isPresent(_ id: NodeID) -> Bool {
        place(of: id).map { members[$0].state.isPresent } ?? false
    }

    /// The places of those whose ids begin with these 32 bits.
    package func withTag(_ tag: UInt32) -> Range<Int> {
        let start = members.sortedIndex { $0.id.tag < tag }
        var end = start
        while end < members.count, members[end].id.tag == tag { end += 1 }
        return start..<end
    }

    /// Every one of them, and one more, sorted by id.
    package func with(_ own: Member) -> [Member] {
        let place = insertionPlace(of: own.id)
        var all: [Member] = []
        all.reserveCapacity(members.count + 1)
        all += members[..<place]
        all.append(own)
        all += members[place...]
        return all
    }

    mutating func insert(_ member: Member) {
        members.insert(member, at: insertionPlace(of: member.id))
        if member.state.isPresent { presentCount += 1 }
    }

    mutating func remove(_ id: NodeID) {
        guard let place = place(of: id) else { return }
        if members.remove(at: place).state.isPresent { presentCount -= 1 }
    }
}

extension MemberTable: RandomAccessCollection {
    package var startIndex: Int { 0 }
    package var endIndex: Int { members.count }

    package internal(set) subscript(place: Int) -> Member {
        _read { yield members[place] }
        _modify {
            let wasPresent = members[place].state.isPresent
            yield &members[place]
            let isPresent = members[place].state.isPresent
            if wasPresent != isPresent { presentCount += isPresent ? 1 : -1 }
        }
    }
}
