import Primitives

/// What is still to be told to others, least-told first (SWIM §4.1).
///
/// At most two entries a member: what it says of itself, and what others say of it. Newer news of a
/// kind replaces older news of that kind; a higher incarnation replaces both.
struct GossipQueue {
    private struct Entry {
        let update: MemberUpdate
        var sentCount = 0
        let order: UInt64
    }

    private var entries: [Entry] = []
    private var nextOrder: UInt64 = 0

    var isEmpty: Bool { entries.isEmpty }

    mutating func enqueue(_ update: MemberUpdate) {
        // Kinds are kept apart because a late word of facts must not swallow the news of a death.
        entries.removeAll { entry in
            entry.update.id == update.id
                && ((entry.update.state == .alive) == (update.state == .alive)
                    || entry.update.incarnation < update.incarnation)
        }
        entries.append(Entry(update: update, order: nextOrder))
        nextOrder += 1
    }

    mutating func remove(_ id: NodeID) {
        entries.removeAll { $0.update.id == id }
    }

    /// Takes what fits into `byteCount`, and forgets what has been told `limit` times.
    mutating func take(byteCount: Int, limit: Int, into messages: inout [GossipMessage]) {
        guard !entries.isEmpty else { return }
        // Least-told first; among equals the newest, which fewest have heard of.
        entries.sort { ($0.sentCount, $1.order) < ($1.sentCount, $0.order) }
        var free = byteCount
        for index in entries.indices {
            let message = GossipMessage.update(entries[index].update)
            guard message.byteCount <= free else { continue }
            free -= message.byteCount
            entries[index].sentCount += 1
            messages.append(message)
        }
        entries.removeAll { $0.sentCount >= limit }
    }
}
