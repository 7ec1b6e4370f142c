import Primitives
import Testing

@testable import SWIM

// Views that were told the same believe the same, whatever came first and whatever they told each
// other in between: merging is commutative, associative and idempotent, syncs included.
struct ConvergenceTests {
    private static let memberCount = 4

    private func beliefs(_ machine: SWIMMachine) -> [String] {
        machine.others.map { member in
            "\(member.id.rawValue) \(member.state) \(member.incarnation) \(member.facts.name) "
                + "\(member.endpoint)"
        }
    }

    private func randomNews(_ count: Int, _ generator: inout SeededGenerator) -> [MemberUpdate] {
        (0..<count).map { _ in
            let id = UInt64(1 + generator.below(Self.memberCount))
            let incarnation = UInt64(1 + generator.below(4))
            let accuser = NodeID(UInt128(20 + generator.below(5)))
            let belief: MemberUpdate.Belief
            switch generator.below(6) {
            case 0: belief = .suspect(accuser: accuser)
            case 1: belief = .dead(accuser: accuser)
            case 2: belief = .left
            default:
                let version = UInt32(generator.below(3))
                return Driven.alive(id, incarnation: incarnation, version: version)
            }
            return MemberUpdate(id: NodeID(UInt128(id)), incarnation: incarnation, belief: belief)
        }
    }

    private func tell(_ from: Driven, _ to: Driven) {
        _ = to.handle(.synced(from.machine.fullState))
    }

    @Test(arguments: [2, 3])
    func `views that hear the same news converge, however it is mixed with syncs and repeated`(
        viewCount: Int
    ) {
        for seed in 0..<300 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let news = randomNews(14, &generator)
            let alone = Driven()
            for update in news { _ = alone.hear(update) }
            let expected = beliefs(alone.machine)
            for _ in 0..<4 {
                let views = (0..<viewCount).map { _ in Driven() }
                // Each hears all of it in an order of its own, some of it twice.
                var waiting = views.map { _ in
                    var order = news + news.prefix(generator.below(6))
                    generator.shuffle(&order)
                    return order
                }
                while waiting.contains(where: { !$0.isEmpty }) {
                    let view = generator.below(viewCount)
                    if generator.below(4) == 0 {
                        let other = generator.below(viewCount)
                        if other != view { tell(views[other], views[view]) }
                    } else if let update = waiting[view].popLast() {
                        _ = views[view].hear(update)
                    }
                }
                for view in views {
                    #expect(beliefs(view.machine) == expected, "seed \(seed)")
                }
            }
        }
    }

    @Test(arguments: [2, 3])
    func `views that heard different news agree on who is present once they have told each other`(
        viewCount: Int
    ) {
        for seed in 0..<200 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let views = (0..<viewCount).map { _ in Driven() }
            for view in views {
                for update in randomNews(10, &generator) { _ = view.hear(update) }
            }
            func exchange() {
                for from in views { for to in views where to !== from { tell(from, to) } }
            }
            // Twice, because a rumour is passed on only once its member is met.
            exchange()
            exchange()
            // A death that one tells of is doubted by the others, until their doubt has lasted.
            // In small steps: who hears of two minutes at once has stood still, and buries nobody.
            for view in views {
                for _ in 0..<100 {
                    view.now = view.now + .milliseconds(400)
                    for id in 1...UInt128(Self.memberCount) {
                        _ = view.handle(.timer(.suspicion(NodeID(id))))
                    }
                }
            }
            exchange()
            for id in 1...UInt128(Self.memberCount) {
                let members = views.compactMap { $0.machine.member(NodeID(id)) }
                #expect(Set(members.map(\.incarnation)).count <= 1, "seed \(seed), \(id)")
                #expect(Set(members.map(\.state)).count <= 1, "seed \(seed), \(id)")
            }
        }
    }
}
