import Primitives

/// What is still to be told to others, least-told first (SWIM §4.1).
///
/// At most two entries a member: what it says of itself, and what others say of it. Newer news of a
/// kind replaces older news of that kind; a higher incarnation replaces both.
struct GossipQueue {
    private struct Entry {
        let update: MemberUpdate
        let order: UInt64
        var sentCount = 0
    }

    /// An entry where it waits for its turn: small, because these are moved about.
    private struct Ticket {
        let order: UInt64
        let place: Int32
        let byteCount: Int32
    }

    /// What has been told equally often, oldest first.
    private struct Bucket {
        var tickets: [Ticket] = []
        /// No ticket is of fewer bytes.
        var smallest = Int.max

        mutating func add(_ ticket: Ticket) {
            tickets.append(ticket)
            smallest = min(smallest, Int(ticket.byteCount))
        }

        mutating func remove(order: UInt64) {
            tickets.remove(at: tickets.sortedIndex { $0.order < order })
        }
    }

    /// The places of a member's entries; -1 for none.
    private struct Places {
        var own: Int32 = -1
        var others: Int32 = -1
    }

    private var entries: [Entry?] = []
    private var freePlaces: [Int32] = []
    // Looked up by key only.
    private var places: [NodeID: Places] = [:]
    /// By how often their entries have been told.
    private var buckets: [Bucket] = []
    private var nextOrder: UInt64 = 0
    private var count = 0

    var isEmpty: Bool { count == 0 }

    mutating func enqueue(_ update: MemberUpdate) {
        // Kinds are kept apart because a late word of facts must not swallow the news of a death.
        let isOwn = update.state == .alive
        var known = places[update.id] ?? Places()
        let (same, other) = isOwn ? (known.own, known.others) : (known.others, known.own)
        if same >= 0 { drop(same) }
        var rest = other
        if other >= 0, let entry = entries[Int(other)],
            entry.update.incarnation < update.incarnation
        {
            drop(other)
            rest = -1
        }
        let place = freePlaces.popLast() ?? Int32(entries.count)
        let entry = Entry(update: update, order: nextOrder)
        if Int(place) < entries.count { entries[Int(place)] = entry } else { entries.append(entry) }
        known = isOwn ? Places(own: place, others: rest) : Places(own: rest, others: place)
        places[update.id] = known
        if buckets.isEmpty { buckets.append(Bucket()) }
        let byteCount = GossipMessage.update(update).byteCount
        buckets[0].add(Ticket(order: nextOrder, place: place, byteCount: Int32(byteCount)))
        nextOrder += 1
        count += 1
    }

    mutating func remove(_ id: NodeID) {
        guard let known = places.removeValue(forKey: id) else { return }
        if known.own >= 0 { drop(known.own) }
        if known.others >= 0 { drop(known.others) }
    }

    /// Takes what fits into `byteCount`, and forgets what has been told `limit` times.
    mutating func take(byteCount: Int, limit: Int, into messages: inout [GossipMessage]) {
        guard !isEmpty else { return }
        var free = byteCount
        var moved: [Ticket] = []
        for told in buckets.indices {
            // Least-told first; among equals the newest, which fewest have heard of.
            let taken = takeNewest(told, &free, into: &messages)
            merge(moved, into: told)
            moved = taken
        }
        if !moved.isEmpty {
            buckets.append(Bucket())
            merge(moved, into: buckets.count - 1)
        }
        forget(from: limit)
    }

    /// - Returns: what was taken, oldest first.
    private mutating func takeNewest(
        _ told: Int,
        _ free: inout Int,
        into messages: inout [GossipMessage]
    ) -> [Ticket] {
        var taken: [Ticket] = []
        var left: [Ticket] = []
        var smallestLeft = Int.max
        var next = buckets[told].tickets.count
        while next > 0, free >= buckets[told].smallest {
            next -= 1
            let ticket = buckets[told].tickets[next]
            if let update = entries[Int(ticket.place)]?.update, Int(ticket.byteCount) <= free {
                free -= Int(ticket.byteCount)
                messages.append(.update(update))
                entries[Int(ticket.place)]?.sentCount = told + 1
                taken.append(ticket)
            } else {
                left.append(ticket)
                smallestLeft = min(smallestLeft, Int(ticket.byteCount))
            }
        }
        if next == 0 { buckets[told].smallest = smallestLeft }
        guard !taken.isEmpty else { return [] }
        buckets[told].tickets.removeSubrange(next...)
        buckets[told].tickets += left.reversed()
        taken.reverse()
        return taken
    }

    private mutating func merge(_ moved: [Ticket], into told: Int) {
        guard let first = moved.first else { return }
        guard let last = buckets[told].tickets.last, last.order > first.order else {
            for ticket in moved { buckets[told].add(ticket) }
            return
        }
        let before = buckets[told].tickets
        var merged = Bucket()
        merged.tickets.reserveCapacity(before.count + moved.count)
        var next = 0
        for ticket in moved {
            while next < before.count, before[next].order < ticket.order {
                merged.add(before[next])
                next += 1
            }
            merged.add(ticket)
        }
        for ticket in before[next...] { merged.add(ticket) }
        buckets[told] = merged
    }

    private mutating func forget(from limit: Int) {
        while buckets.count > limit, let bucket = buckets.popLast() {
            for ticket in bucket.tickets {
                guard let entry = entries[Int(ticket.place)] else { continue }
                free(ticket.place, of: entry)
            }
        }
        while buckets.last?.tickets.isEmpty == true { buckets.removeLast() }
        // What a large cluster needed while it formed is not kept for ever.
        if isEmpty, entries.count > Self.keptLimit { self = GossipQueue() }
    }

    private static let keptLimit = 32

    /// Forgets an entry whose ticket still waits.
    private mutating func drop(_ place: Int32) {
        guard let entry = entries[Int(place)] else { return }
        buckets[entry.sentCount].remove(order: entry.order)
        free(place, of: entry)
    }

    private mutating func free(_ place: Int32, of entry: Entry) {
        let id = entry.update.id
        if var known = places[id] {
            if known.own == place { known.own = -1 }
            if known.others == place { known.others = -1 }
            places[id] = known.own < 0 && known.others < 0 ? nil : known
        }
        entries[Int(place)] = nil
        freePlaces.append(place)
        count -= 1
    }
}
