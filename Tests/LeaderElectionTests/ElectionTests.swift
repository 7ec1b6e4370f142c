import Primitives
import Testing

@testable import LeaderElection

struct ElectionTests {
    private func isCandidacy(_ event: ElectionEvent) -> Bool {
        if case .stands = event { return true }
        return false
    }

    @Test(arguments: 1...7, [0, 0.1, 0.3])
    func `one master is elected in time and obeyed by all`(count: Int, loss: Double) {
        for seed in 0..<10 as Range<UInt64> {
            let cluster = ElectionCluster(count: count, seed: seed)
            cluster.loss = loss
            cluster.checksLeases = true
            cluster.startAll()
            let time = cluster.run(for: .seconds(20)) { $0.isSettled }
            let bound = Duration.seconds(loss == 0 ? 5 : 15)
            #expect((time ?? .seconds(99)) < bound, "seed \(seed): \(String(describing: time))")
        }
    }

    @Test(arguments: [20, 120])
    func `slow networks elect too`(milliseconds: Int) {
        for seed in 0..<10 as Range<UInt64> {
            let cluster = ElectionCluster(count: 5, seed: seed)
            cluster.latency = .milliseconds(milliseconds)...(.milliseconds(2 * milliseconds))
            cluster.checksLeases = true
            cluster.startAll()
            let time = cluster.run(for: .seconds(20)) { $0.isSettled }
            #expect((time ?? .seconds(99)) < .seconds(6), "seed \(seed)")
        }
    }

    @Test func `nobody stands while the master is healthy`() {
        for seed in 0..<10 as Range<UInt64> {
            let cluster = ElectionCluster(count: 5, seed: seed)
            cluster.startAll()
            cluster.run(for: .seconds(6))
            #expect(cluster.isSettled)
            cluster.forgetEvents()
            cluster.loss = 0.02
            cluster.run(for: .seconds(120))
            #expect(cluster.isSettled)
            #expect(cluster.events(where: isCandidacy) == 0, "seed \(seed)")
        }
    }

    @Test func `the better rank becomes master and a still better newcomer unseats nobody`() {
        for seed in 0..<10 as Range<UInt64> {
            let cluster = ElectionCluster(count: 5, seed: seed)
            let early = [0, 1, 2, 3]
            for index in early { cluster.nodes[index].view = early }
            for index in early { cluster.start(index) }
            cluster.run(for: .seconds(6))
            #expect(cluster.masters == [3], "seed \(seed)")
            cluster.start(4)
            for index in early { cluster.see([0, 1, 2, 3, 4], at: index) }
            cluster.forgetEvents()
            cluster.run(for: .seconds(20))
            #expect(cluster.masters == [3], "seed \(seed)")
            #expect(cluster.isSettled)
            #expect(cluster.events(where: isCandidacy) == 0)
        }
    }

    @Test func `who has no engine stands last`() {
        let cluster = ElectionCluster(count: 3, seed: 3)
        let standings = (0..<3).map {
            Standing(
                holdsWantedModel: $0 == 0,
                hasEngine: $0 != 2,
                node: ElectionCluster.id($0)
            )
        }
        cluster.startAll()
        for index in 0..<3 { cluster.handle(.members(standings), at: index) }
        cluster.run(for: .seconds(5))
        #expect(cluster.masters == [0], "it has the engine and the model")
    }

    @Test(arguments: 2...7)
    func `a killed master is followed by another one, once its death is known`(count: Int) {
        for seed in 0..<10 as Range<UInt64> {
            let cluster = ElectionCluster(count: count, seed: seed)
            cluster.startAll()
            cluster.run(for: .seconds(6))
            let master = cluster.masters[0]
            cluster.kill(master)
            cluster.noticeSoon()
            let time = cluster.run(for: .seconds(20)) { $0.isSettled }
            #expect((time ?? .seconds(99)) < .seconds(10), "seed \(seed)")
            // The dead one returns, and follows.
            cluster.start(master)
            cluster.noticeSoon()
            cluster.forgetEvents()
            cluster.run(for: .seconds(15))
            #expect(cluster.isSettled, "seed \(seed)")
            #expect(cluster.ballot(of: master)?.node != ElectionCluster.id(master))
        }
    }

    @Test func `three of five go on without waiting for the deaths of the others`() {
        let cluster = ElectionCluster(count: 5, seed: 2)
        cluster.startAll()
        cluster.run(for: .seconds(6))
        let master = cluster.masters[0]
        cluster.kill(master)
        cluster.kill((master + 1) % 5)
        let time = cluster.run(for: .seconds(20)) { $0.isSettled }
        #expect((time ?? .seconds(99)) < .seconds(5))
    }

    @Test func `a master that hears too few steps down when its lease ends`() {
        for seed in 0..<10 as Range<UInt64> {
            let cluster = ElectionCluster(count: 5, seed: seed)
            cluster.checksLeases = true
            cluster.startAll()
            cluster.run(for: .seconds(6))
            let master = cluster.masters[0]
            let friend = (master + 1) % 5
            let minority = [master, friend]
            cluster.passes = { minority.contains($0) == minority.contains($1) }
            let time = cluster.run(for: .seconds(5)) { !$0.masters.contains(master) }
            #expect((time ?? .seconds(99)) <= .seconds(1.52), "seed \(seed)")
            cluster.run(for: .seconds(6))
            let majority = (0..<5).filter { !minority.contains($0) }
            #expect(cluster.isSettled(majority), "seed \(seed)")
            // Once it sees that it is alone with its friend, they serve on their own.
            cluster.checksLeases = false
            cluster.noticeSoon()
            cluster.run(for: .seconds(12))
            #expect(cluster.isSettled(minority), "seed \(seed)")
            #expect(cluster.isSettled(majority), "seed \(seed)")
        }
    }

    @Test func `a master that resigns is followed at once, even if its last words come twice`() {
        for seed in 0..<10 as Range<UInt64> {
            let cluster = ElectionCluster(count: 4, seed: seed)
            cluster.duplication = 0.5
            cluster.latency = .milliseconds(1)...(.milliseconds(60))
            cluster.startAll()
            cluster.run(for: .seconds(6.3))
            let master = cluster.masters[0]
            cluster.handle(.timer(.heartbeat), at: master)
            cluster.handle(.resign, at: master)
            let time = cluster.run(for: .seconds(10)) { cluster in
                cluster.masters.count == 1 && cluster.masters != [master]
            }
            #expect((time ?? .seconds(99)) < .seconds(1.5), "seed \(seed)")
            // It obeys its successor, and nobody's term climbs because of it.
            cluster.run(for: .seconds(5))
            #expect(cluster.isSettled, "seed \(seed)")
            let term = cluster.ballot(of: master)?.term
            cluster.run(for: .seconds(20))
            #expect(cluster.ballot(of: master)?.term == term, "seed \(seed)")
        }
    }

    @Test func `who resigned never stands again, but notices that a master is lost`() {
        let cluster = ElectionCluster(count: 2, seed: 1)
        cluster.startAll()
        cluster.run(for: .seconds(5))
        let master = cluster.masters[0]
        cluster.handle(.resign, at: 1 - master)
        cluster.run(for: .seconds(3))
        cluster.kill(master)
        cluster.noticeSoon()
        cluster.run(for: .seconds(20))
        #expect(cluster.masters.isEmpty)
        #expect(cluster.ballot(of: 1 - master) == nil)
    }

    @Test func `every candidacy is answered with the voter's term, also a stale one`() {
        let voter = ElectionCluster(count: 2, seed: 1)
        voter.nodes[0].disk = ElectionRecord(
            term: 9,
            vote: nil,
            obeyed: Ballot(term: 9, node: ElectionCluster.id(1))
        )
        voter.start(0)
        voter.run(for: .seconds(3))
        for ballot in [1, 8, 9].map({ Ballot(term: $0, node: ElectionCluster.id(1)) }) {
            for message in [
                ElectionMessage.preVoteRequest(.init(ballot)), .voteRequest(.init(ballot)),
            ] {
                var effects: [ElectionEffect] = []
                voter.nodes[0].machine.handle(
                    .message(message, from: ElectionCluster.id(1)),
                    at: voter.now,
                    effects: &effects
                )
                let reply = ElectionMessage.VoteReply(ballot: ballot, isGranted: false, term: 9)
                let expected: [ElectionMessage] = [.preVoteReply(reply), .voteReply(reply)]
                #expect(
                    effects.contains { effect in
                        if case .send(let message, _) = effect { return expected.contains(message) }
                        return false
                    }
                )
            }
        }
    }

    @Test func `after a restart nobody votes before the leases that it forgot have ended`() {
        let cluster = ElectionCluster(count: 3, seed: 1)
        cluster.start(0)
        let ballot = Ballot(term: 50, node: ElectionCluster.id(1))
        func isGranted() -> Bool {
            var effects: [ElectionEffect] = []
            cluster.nodes[0].machine.handle(
                .message(.preVoteRequest(.init(ballot)), from: ElectionCluster.id(1)),
                at: cluster.now,
                effects: &effects
            )
            return effects.contains {
                if case .send(.preVoteReply(let reply), _) = $0 { return reply.isGranted }
                return false
            }
        }
        cluster.run(for: .milliseconds(1900))
        #expect(!isGranted())
        cluster.run(for: .milliseconds(200))
        #expect(isGranted())
    }
}
