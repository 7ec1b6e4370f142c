import Primitives
import Testing

@testable import SWIM

// State precedence is a join; what is to be told is bounded and fair.
struct MergeTests {
    /// What is believed of everybody else, without moments and without own words.
    private func beliefs(_ machine: SWIMMachine) -> [String] {
        machine.others.map { member in
            "\(member.id.rawValue) \(member.state) \(member.incarnation) \(member.facts.name) "
                + "\(member.endpoint)"
        }
    }

    private func randomUpdate(_ generator: inout SeededGenerator) -> MemberUpdate {
        let id = UInt64(1 + generator.below(4))
        let incarnation = UInt64(1 + generator.below(4))
        let accuser = NodeID(UInt128(20 + generator.below(5)))
        let belief: MemberUpdate.Belief
        switch generator.below(5) {
        case 0: belief = .suspect(accuser: accuser)
        case 1: belief = .dead(accuser: accuser)
        case 2: belief = .left
        default:
            let version = UInt32(generator.below(3))
            return Driven.alive(id, incarnation: incarnation, version: version)
        }
        return MemberUpdate(id: NodeID(UInt128(id)), incarnation: incarnation, belief: belief)
    }

    @Test func `news gives the same beliefs in any order, however often it is repeated`() {
        for seed in 0..<300 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let updates = (0..<12).map { _ in randomUpdate(&generator) }
            var expected: [String]?
            for _ in 0..<6 {
                var order = updates + updates.prefix(generator.below(6))
                generator.shuffle(&order)
                let driven = Driven()
                for update in order { _ = driven.hear(update) }
                let found = beliefs(driven.machine)
                #expect(found == expected ?? found, "seed \(seed)")
                expected = found
            }
        }
    }

    @Test func `two views that exchange all they know believe the same of who is present`() {
        for seed in 0..<100 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let left = Driven()
            let right = Driven()
            for _ in 0..<10 {
                _ = left.hear(randomUpdate(&generator))
                _ = right.hear(randomUpdate(&generator))
            }
            // Twice, because a rumour is passed on only once its member is met.
            for _ in 0..<2 {
                let (ofLeft, ofRight) = (left.machine.fullState, right.machine.fullState)
                _ = left.handle(.synced(ofRight))
                _ = right.handle(.synced(ofLeft))
            }
            for member in left.machine.others {
                guard let other = right.machine.member(member.id) else { continue }
                #expect(member.incarnation == other.incarnation, "seed \(seed)")
            }
        }
    }

    @Test func `a suspicion lasts as Lifeguard says, from the longest to the shortest`() {
        var suspicion = Suspicion(
            by: NodeID(1),
            at: .origin,
            minimum: .seconds(4),
            maximum: .seconds(24),
            confirmations: 3
        )
        // Max − (Max − Min) · log(C + 1) / log(K + 1), C = 0…3.
        let expected = [24.0, 14.0, 8.150, 4.0]
        for (confirmed, seconds) in expected.enumerated() {
            if confirmed > 0 {
                let isNew = suspicion.confirm(by: NodeID(UInt128(confirmed + 1)))
                let isNewAgain = suspicion.confirm(by: NodeID(UInt128(confirmed + 1)))
                #expect(isNew && !isNewAgain)
            }
            let timeout = (suspicion.deadline - .origin).inSeconds
            #expect(abs(timeout - seconds) < 0.001, "\(confirmed) confirmations: \(timeout)")
        }
        let isNew = suspicion.confirm(by: NodeID(9))
        #expect(!isNew, "more than K add nothing")
    }

    @Test func `with too few members to confirm, a suspicion is short from the start`() {
        let few = Driven(peers: [1, 2, 3])
        let enough = Driven(peers: [1, 2, 3, 4])
        let suspicion = MemberUpdate(
            id: NodeID(1),
            incarnation: 1,
            belief: .suspect(accuser: NodeID(2))
        )
        #expect(few.hear(suspicion).contains(.setTimer(.suspicion(NodeID(1)), after: .seconds(4))))
        #expect(
            enough.hear(suspicion).contains(
                .setTimer(.suspicion(NodeID(1)), after: .seconds(24))
            )
        )
    }

    @Test func `logarithms are exact to nine digits`() {
        let known: [(Double, Double)] = [
            (1, 0), (2, 1), (3, 1.584962500721156), (10, 3.321928094887362), (1024, 10),
        ]
        for (value, logarithm) in known {
            #expect(abs(Logarithm.base2(value) - logarithm) < 1e-9)
        }
        #expect(abs(Logarithm.base10(1000) - 3) < 1e-9)
    }

    @Test func `what was told least is told first, the newest first among equals`() {
        var queue = GossipQueue()
        for id in 1...3 as ClosedRange<UInt64> { queue.enqueue(Driven.alive(id)) }
        func take(_ count: Int) -> [UInt128] {
            var messages: [GossipMessage] = []
            let size = GossipMessage.update(Driven.alive(1)).byteCount
            queue.take(byteCount: count * size, limit: 2, into: &messages)
            return messages.map { message in
                guard case .update(let update) = message else { return 0 }
                return update.id.rawValue
            }
        }
        #expect(take(1) == [3])
        #expect(take(1) == [2])
        #expect(take(2) == [1, 3])
        queue.enqueue(Driven.alive(4))
        #expect(take(4) == [4, 2, 1])
        #expect(take(4) == [4])
        #expect(queue.isEmpty)
    }

    @Test func `at most two pieces of news a member wait, and the newest of each kind`() {
        var queue = GossipQueue()
        var generator = SeededGenerator(seed: 5)
        for _ in 0..<500 { queue.enqueue(randomUpdate(&generator)) }
        var messages: [GossipMessage] = []
        queue.take(byteCount: 100_000, limit: 1, into: &messages)
        #expect(messages.count <= 8)
        #expect(queue.isEmpty)
    }

    @Test func `late news of facts does not swallow the news of a death`() {
        let driven = Driven(peers: [7, 8, 9])
        let death = MemberUpdate(
            id: NodeID(8),
            incarnation: 1,
            belief: .dead(accuser: NodeID(9))
        )
        _ = driven.hear(death)
        _ = driven.hear(Driven.alive(8, incarnation: 1, version: 3))
        let told = driven.handle(.timer(.gossip)).flatMap { effect -> [GossipMessage] in
            if case .send(let messages, _) = effect { return messages }
            return []
        }
        #expect(told.contains(.update(death)))
        #expect(driven.machine.member(NodeID(8))?.facts.name == "8.1.3")
    }

    @Test func `a piece of news is told a bounded number of times`() {
        let driven = Driven(peers: [1, 2, 3, 4, 5, 6, 7, 8])
        var count = 0
        for _ in 0..<200 {
            for case .send(let messages, _) in driven.handle(.timer(.gossip)) {
                count += messages.count {
                    if case .update(let update) = $0 { return update.id == NodeID(8) }
                    return false
                }
            }
        }
        // λ · ⌈log10(9 + 1)⌉
        #expect(count == 4)
        #expect(driven.machine.queue.isEmpty)
    }
}
