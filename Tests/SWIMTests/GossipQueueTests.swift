import Primitives
import Testing

@testable import SWIM

/// The queue as its rules read: one list, sorted whenever it is asked.
private struct PlainQueue {
    struct Entry {
        let update: MemberUpdate
        let order: Int
        var sentCount = 0
    }

    var entries: [Entry] = []
    var nextOrder = 0

    mutating func enqueue(_ update: MemberUpdate) {
        entries.removeAll { entry in
            entry.update.id == update.id
                && ((entry.update.state == .alive) == (update.state == .alive)
                    || entry.update.incarnation < update.incarnation)
        }
        entries.append(Entry(update: update, order: nextOrder))
        nextOrder += 1
    }

    mutating func take(byteCount: Int, limit: Int, into messages: inout [GossipMessage]) {
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

struct GossipQueueTests {
    @Test(arguments: 0..<40 as Range<UInt64>)
    func `what is told least comes first, and of that the newest`(seed: UInt64) {
        var draws = SeededGenerator(seed: seed)
        var queue = GossipQueue()
        var plain = PlainQueue()
        let memberCount = 1 + draws.below(60)
        for _ in 0..<600 {
            switch draws.below(8) {
            case 0..<4:
                let update = Self.update(of: draws.below(memberCount), &draws)
                queue.enqueue(update)
                plain.enqueue(update)
            case 4:
                let id = NodeID(UInt128(draws.below(memberCount)))
                queue.remove(id)
                plain.entries.removeAll { $0.update.id == id }
            default:
                // Now and then there is room for little, and the cluster has shrunk.
                let byteCount = draws.below(4) == 0 ? draws.below(200) : 1372
                let limit = 1 + draws.below(12)
                var messages: [GossipMessage] = []
                var expected: [GossipMessage] = []
                queue.take(byteCount: byteCount, limit: limit, into: &messages)
                plain.take(byteCount: byteCount, limit: limit, into: &expected)
                #expect(messages == expected)
            }
            #expect(queue.isEmpty == plain.entries.isEmpty)
        }
    }

    private static func update(of member: Int, _ draws: inout SeededGenerator) -> MemberUpdate {
        let accuser = NodeID(UInt128(1000 + draws.below(3)))
        let belief: MemberUpdate.Belief
        switch draws.below(4) {
        case 0: belief = .suspect(accuser: accuser)
        case 1: belief = .dead(accuser: accuser)
        case 2: belief = .left
        default:
            belief = .alive(
                endpoint: Endpoint(address: .loopback, port: UInt16(member)),
                factsVersion: UInt32(draws.below(3)),
                facts: DeviceFacts(name: String(repeating: "n", count: draws.below(40)))
            )
        }
        return MemberUpdate(
            id: NodeID(UInt128(member)),
            incarnation: UInt64(draws.below(4)),
            belief: belief
        )
    }
}
