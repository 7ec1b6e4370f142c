import Primitives
import Testing

@testable import LeaderElection

/// One member of three that is driven by hand.
private final class Driven {
    var machine = ElectionMachine(own: NodeID(1), record: ElectionRecord(), seed: 1)
    var now = Instant.origin

    init() {
        handle(.start)
        handle(
            .members(
                (1...3).map {
                    Standing(holdsWantedModel: true, hasEngine: true, node: NodeID($0))
                }
            )
        )
        now += .seconds(3)
    }

    @discardableResult
    func handle(_ input: ElectionInput) -> [ElectionEffect] {
        var effects: [ElectionEffect] = []
        machine.handle(input, at: now, effects: &effects)
        return effects
    }

    func hear(_ message: ElectionMessage, from node: UInt128) -> [ElectionEffect] {
        handle(.message(message, from: NodeID(node)))
    }

    func hearHeartbeat(term: UInt64, from node: UInt128) -> [ElectionEffect] {
        let weight = MasterWeight(isServing: false, followerCount: 1)
        let ballot = Ballot(term: term, node: NodeID(node))
        return hear(
            .heartbeat(.init(ballot: ballot, sequence: 1, weight: weight)),
            from: node
        )
    }

    func wouldVote(term: UInt64, for node: UInt128) -> Bool {
        let ballot = Ballot(term: term, node: NodeID(node))
        return hear(.preVoteRequest(.init(ballot)), from: node).contains {
            if case .send(.preVoteReply(let reply), _) = $0 { return reply.isGranted }
            return false
        }
    }

    var leaseEnd: Instant? {
        if case .master(let reign) = machine.role { return reign.leaseEnd }
        return nil
    }
}

struct LeaseTests {
    @Test func `votes give no lease, answers give one from the moment of what they answer`() throws
    {
        let driven = Driven()
        driven.handle(.timer(.election))
        let ballot = Ballot(term: 1, node: NodeID(1))
        let grant = ElectionMessage.VoteReply(ballot: ballot, isGranted: true, term: 0)
        _ = driven.hear(.preVoteReply(grant), from: 2)
        let effects = driven.hear(.voteReply(grant), from: 2)
        #expect(effects.contains(.emit(.elected(ballot))))
        #expect(try #require(driven.leaseEnd) <= driven.now)

        let sent = driven.now
        driven.now += .milliseconds(300)
        let reply = ElectionMessage.HeartbeatReply(
            ballot: ballot,
            sequence: 1,
            isObeyed: true,
            term: 1
        )
        _ = driven.hear(.heartbeatReply(reply), from: 9)
        #expect(try #require(driven.leaseEnd) <= driven.now, "a stranger's answer")
        _ = driven.hear(.heartbeatReply(reply), from: 2)
        #expect(driven.leaseEnd == sent + .milliseconds(1500))
        _ = driven.hear(.heartbeatReply(reply), from: 2)
        #expect(driven.leaseEnd == sent + .milliseconds(1500), "twice is once")

        driven.now = sent + .milliseconds(1500)
        let last = driven.handle(.timer(.lease))
        #expect(last.contains(.emit(.deposed(ballot, .leaseExpired))))
    }

    @Test func `a master that nobody answers steps down by itself`() {
        let driven = Driven()
        driven.handle(.timer(.election))
        let ballot = Ballot(term: 1, node: NodeID(1))
        let grant = ElectionMessage.VoteReply(ballot: ballot, isGranted: true, term: 0)
        _ = driven.hear(.preVoteReply(grant), from: 2)
        let effects = driven.hear(.voteReply(grant), from: 2)
        #expect(effects.contains(.setTimer(.lease, after: .milliseconds(1500))))
        driven.now += .milliseconds(1500)
        #expect(driven.handle(.timer(.lease)).contains(.emit(.deposed(ballot, .leaseExpired))))
    }

    @Test func `a member votes for nobody against a master that it hears, obeyed or not`() {
        let driven = Driven()
        _ = driven.hearHeartbeat(term: 9, from: 3)
        #expect(!driven.wouldVote(term: 10, for: 2))
        #expect(driven.wouldVote(term: 10, for: 3), "its own master renews its ballot")
        // Another side's master, of an earlier term, is heard; then the own one resigns.
        _ = driven.hearHeartbeat(term: 4, from: 2)
        _ = driven.hear(.resign(Ballot(term: 9, node: NodeID(3))), from: 3)
        #expect(driven.machine.master == nil)
        #expect(!driven.wouldVote(term: 10, for: 3))
        #expect(driven.wouldVote(term: 10, for: 2))
        let isStanding = driven.handle(.timer(.election)).contains {
            if case .emit(.stands) = $0 { return true }
            return false
        }
        #expect(!isStanding)
        driven.now += .seconds(2)
        #expect(driven.wouldVote(term: 10, for: 3), "it fell silent")
    }
}

struct BeatTests {
    @Test func `who understands beats gets them, and answers in as few words while it obeys`() {
        let cluster = ElectionCluster(count: 4, seed: 1)
        cluster.startAll()
        cluster.run(for: .seconds(20))
        #expect(cluster.isSettled)
        let before = cluster.beatsObeyed
        cluster.run(for: .seconds(6))
        // Every other device understands them, the master may be one of these.
        #expect(10...20 ~= cluster.beatsObeyed - before)
    }

    @Test func `a beat of a lower ballot is refused in all words`() {
        let driven = Driven()
        _ = driven.hearHeartbeat(term: 9, from: 3)
        let weight = MasterWeight(isServing: false, followerCount: 1)
        func answers(_ term: UInt64, _ node: UInt128) -> [ElectionMessage] {
            driven.hear(.beat(.init(term: term, sequence: 7, weight: weight)), from: node)
                .compactMap { if case .send(let message, _) = $0 { message } else { nil } }
        }
        #expect(
            answers(9, 3) == [.beatObeyed(.init(term: 9, sequence: 7, tag: NodeID(3).tag))]
        )
        let refusal = ElectionMessage.HeartbeatReply(
            ballot: Ballot(term: 8, node: NodeID(2)),
            sequence: 7,
            isObeyed: false,
            term: 9
        )
        #expect(answers(8, 2) == [.heartbeatReply(refusal)])
    }

    @Test func `an obeyed beat extends the lease of its own ballot alone`() throws {
        let driven = Driven()
        driven.handle(.timer(.election))
        let ballot = Ballot(term: 1, node: NodeID(1))
        let grant = ElectionMessage.VoteReply(ballot: ballot, isGranted: true, term: 0)
        _ = driven.hear(.preVoteReply(grant), from: 2)
        _ = driven.hear(.voteReply(grant), from: 2)
        let sent = driven.now
        driven.now += .milliseconds(100)
        let tag = NodeID(1).tag
        _ = driven.hear(.beatObeyed(.init(term: 0, sequence: 1, tag: tag)), from: 2)
        _ = driven.hear(.beatObeyed(.init(term: 1, sequence: 2, tag: tag)), from: 2)
        let before = NodeID(0xA0A1_A2A3_0000_0000_0000_0000_0000_0001)
        _ = driven.hear(.beatObeyed(.init(term: 1, sequence: 1, tag: before.tag)), from: 2)
        #expect(try #require(driven.leaseEnd) <= driven.now)
        _ = driven.hear(.beatObeyed(.init(term: 1, sequence: 1, tag: tag)), from: 2)
        #expect(driven.leaseEnd == sent + .milliseconds(1500))
    }
}
