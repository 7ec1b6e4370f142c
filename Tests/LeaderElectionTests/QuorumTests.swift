import Primitives
import Testing

@testable import LeaderElection

struct QuorumTests {
    private func cluster(_ count: Int, seed: UInt64) -> ElectionCluster {
        let cluster = ElectionCluster(count: count, seed: seed)
        cluster.policy = .quorum
        cluster.checksLeases = true
        cluster.startAll()
        cluster.handle(.found, at: 0)
        return cluster
    }

    private func voters(_ cluster: ElectionCluster, at index: Int) -> [Int] {
        (cluster.nodes[index].disk.configuration?.voters ?? []).map(ElectionCluster.index)
    }

    @Test(arguments: 1...7)
    func `an odd number of voters, five at most, is stored by all`(count: Int) {
        for seed in 0..<5 as Range<UInt64> {
            let cluster = cluster(count, seed: seed)
            cluster.run(for: .seconds(25))
            #expect(cluster.isSettled, "seed \(seed)")
            let expected = min(5, count - (1 - count % 2))
            let stored = cluster.nodes.indices.map { voters(cluster, at: $0) }
            #expect(stored.allSatisfy { $0 == stored[0] && $0.count == expected }, "\(stored)")
            #expect(cluster.masters.allSatisfy(stored[0].contains))
        }
    }

    @Test func `nobody is master before a cluster is founded`() {
        let cluster = ElectionCluster(count: 3, seed: 1)
        cluster.policy = .quorum
        cluster.startAll()
        cluster.run(for: .seconds(30))
        #expect(cluster.masters.isEmpty)
        #expect(cluster.events { _ in true } == 0)
    }

    @Test func `a side without a majority of the voters has no master, and the other one has`() {
        for seed in 0..<10 as Range<UInt64> {
            let cluster = cluster(5, seed: seed)
            cluster.run(for: .seconds(25))
            let master = cluster.masters[0]
            let minority = [master, (master + 1) % 5]
            let majority = cluster.nodes.indices.filter { !minority.contains($0) }
            cluster.passes = { minority.contains($0) == minority.contains($1) }
            cluster.noticeSoon()
            cluster.run(for: .milliseconds(2000))
            #expect(!cluster.masters.contains(master), "L3, seed \(seed)")
            cluster.run(for: .seconds(10))
            #expect(cluster.isSettled(majority), "seed \(seed)")
            #expect(cluster.masters.count == 1, "seed \(seed)")
            #expect(minority.allSatisfy { cluster.ballot(of: $0) == nil }, "seed \(seed)")
            cluster.passes = { _, _ in true }
            cluster.noticeSoon()
            cluster.run(for: .seconds(12))
            #expect(cluster.isSettled, "seed \(seed)")
        }
    }

    @Test func `voters that stay away are let go after five minutes, but not below three`() {
        let cluster = cluster(5, seed: 3)
        cluster.run(for: .seconds(25))
        let gone = cluster.nodes.indices.filter { !cluster.masters.contains($0) }
        for index in gone.prefix(2) { cluster.kill(index) }
        cluster.noticeSoon()
        cluster.run(for: .seconds(280))
        #expect(voters(cluster, at: cluster.masters[0]).count == 5)
        cluster.run(for: .seconds(40))
        #expect(voters(cluster, at: cluster.masters[0]).count == 3)
        cluster.kill(gone[2])
        cluster.noticeSoon()
        cluster.run(for: .seconds(400))
        #expect(voters(cluster, at: cluster.masters[0]).count == 3)
        #expect(cluster.isSettled)
    }

    @Test func `two clusters that meet stay two, and say so`() {
        let cluster = ElectionCluster(count: 4, seed: 5)
        cluster.policy = .quorum
        cluster.passes = { ($0 < 2) == ($1 < 2) }
        for index in 0..<4 {
            cluster.nodes[index].view = index < 2 ? [0, 1] : [2, 3]
            cluster.start(index)
        }
        cluster.handle(.found, at: 0)
        cluster.handle(.found, at: 2)
        cluster.run(for: .seconds(20))
        cluster.passes = { _, _ in true }
        for index in 0..<4 { cluster.see([0, 1, 2, 3], at: index) }
        cluster.run(for: .seconds(30))
        #expect(cluster.isSettled([0, 1]) && cluster.isSettled([2, 3]))
        #expect(cluster.masters.count == 2)
        let said = cluster.events {
            if case .foreign(_, .otherCluster) = $0 { true } else { false }
        }
        #expect(said >= 2)
    }

    @Test func `agents of another policy are passed over, and named once`() {
        let cluster = ElectionCluster(count: 4, seed: 6)
        cluster.policy = .quorum
        cluster.startAll()
        cluster.handle(.found, at: 0)
        cluster.run(for: .seconds(20))
        cluster.policy = .available
        cluster.kill(3)
        cluster.start(3)
        for index in 0..<3 { cluster.see([0, 1, 2, 3], at: index) }
        cluster.run(for: .seconds(30))
        #expect(cluster.isSettled([0, 1, 2]))
        #expect(cluster.ballot(of: 3)?.node == ElectionCluster.id(3))
        let said = cluster.events { $0 == .foreign(ElectionCluster.id(3), .otherPolicy) }
        #expect(said == 3)
    }

    @Test func `who has older voters gets no vote, and learns of the newer ones`() {
        let id = ElectionCluster.id
        let old = VoterConfiguration(foundedBy: id(0))
        let newer = old.next(voters: [id(0), id(1), id(2)], term: 4)
        var machine = ElectionMachine(
            own: id(1),
            record: ElectionRecord(term: 4, configuration: newer),
            configuration: ElectionCluster.configuration(.quorum),
            seed: 1
        )
        var effects: [ElectionEffect] = []
        machine.handle(.start, at: .origin, effects: &effects)
        let ballot = Ballot(term: 9, node: id(0))
        effects = []
        let later = Instant.origin + .seconds(5)
        machine.handle(
            .message(.voteRequest(.init(ballot, old.id)), from: id(0)),
            at: later,
            effects: &effects
        )
        #expect(effects.contains(.send(.configuration(newer), to: id(0))))
        #expect(machine.record.vote == nil)
        machine.handle(
            .message(.voteRequest(.init(ballot, newer.id)), from: id(0)),
            at: later,
            effects: &effects
        )
        #expect(machine.record.vote == id(0))
    }

    /// What a voter of the configuration says to a pre-vote and then to a vote.
    private func answers(
        of record: ElectionRecord,
        to ballot: Ballot,
        with configuration: ConfigurationID
    ) -> [Bool] {
        var machine = ElectionMachine(
            own: ElectionCluster.id(1),
            record: record,
            configuration: ElectionCluster.configuration(.quorum),
            seed: 1
        )
        var effects: [ElectionEffect] = []
        machine.handle(.start, at: .origin, effects: &effects)
        effects = []
        let later = Instant.origin + .seconds(5)
        let request = ElectionMessage.VoteRequest(ballot, configuration)
        for message in [ElectionMessage.preVoteRequest(request), .voteRequest(request)] {
            machine.handle(.message(message, from: ballot.node), at: later, effects: &effects)
        }
        return effects.compactMap { effect in
            switch effect {
            case .send(.preVoteReply(let reply), _), .send(.voteReply(let reply), _):
                reply.isGranted
            default: nil
            }
        }
    }

    @Test func `no vote is left in the term of a master that the voter obeyed`() {
        let id = ElectionCluster.id
        let voters = VoterConfiguration(foundedBy: id(0))
            .next(voters: [id(1), id(2), id(5)], term: 4)
        // It became a voter in this term only: it has given its vote to nobody.
        let record = ElectionRecord(
            term: 5,
            obeyed: Ballot(term: 5, node: id(2)),
            configuration: voters
        )
        // A higher node's ballot is the higher one.
        let same = answers(of: record, to: Ballot(term: 5, node: id(5)), with: voters.id)
        #expect(same == [false, false])
        let next = answers(of: record, to: Ballot(term: 6, node: id(5)), with: voters.id)
        #expect(next == [true, true])
    }

    @Test func `no vote is left in the term of the candidate's voters`() {
        let id = ElectionCluster.id
        let old = VoterConfiguration(foundedBy: id(0)).next(voters: [id(0), id(1)], term: 3)
        let newer = old.next(voters: [id(0), id(1), id(5)], term: 7)
        // It was away while term 7 had its master.
        let record = ElectionRecord(
            term: 3,
            obeyed: Ballot(term: 3, node: id(0)),
            configuration: old
        )
        let same = answers(of: record, to: Ballot(term: 7, node: id(5)), with: newer.id)
        #expect(same == [false, false])
        let next = answers(of: record, to: Ballot(term: 8, node: id(5)), with: newer.id)
        #expect(next == [true, true])
    }

    @Test func `who takes newer voters over takes their term, and has not voted in it`() {
        let id = ElectionCluster.id
        let old = VoterConfiguration(foundedBy: id(0)).next(voters: [id(0), id(1)], term: 3)
        let newer = old.next(voters: [id(0), id(1), id(5)], term: 7)
        var machine = ElectionMachine(
            own: id(1),
            record: ElectionRecord(term: 3, vote: id(0), configuration: old),
            configuration: ElectionCluster.configuration(.quorum),
            seed: 1
        )
        var effects: [ElectionEffect] = []
        machine.handle(.start, at: .origin, effects: &effects)
        effects = []
        machine.handle(.message(.configuration(newer), from: id(0)), at: .origin, effects: &effects)
        let stored = ElectionRecord(term: 7, configuration: newer)
        #expect(machine.record == stored)
        #expect(effects.contains(.persist(stored)))
    }

    @Test func `majorities of neighbouring configurations share a member, of others not always`() {
        let nodes = (1...7).map { NodeID(UInt128($0)) }
        for size in 1...5 {
            let voters = VoterConfiguration(foundedBy: nodes[0])
                .next(voters: Array(nodes.prefix(size)), term: 1)
            if size < 5 {
                let more = voters.next(voters: Array(nodes.prefix(size + 1)), term: 1)
                #expect(VoterConfiguration.quorumsIntersect(voters, more))
            }
            let others = voters.next(voters: Array(nodes[2..<(2 + size)]), term: 1)
            #expect(!VoterConfiguration.quorumsIntersect(voters, others))
        }
    }

    @Test func `no chaos makes two masters of one term, or two valid leases`() {
        for seed in 0..<40 as Range<UInt64> {
            let cluster = cluster(3 + Int(seed % 4), seed: seed)
            var chaos = SeededGenerator(seed: seed).derived(2)
            let count = cluster.nodes.count
            cluster.latency = .milliseconds(1)...(.milliseconds(10 + chaos.below(300)))
            for _ in 0..<20 {
                let index = chaos.below(count)
                switch chaos.below(8) {
                case 0: cluster.kill(index)
                case 1, 2: if !cluster.nodes[index].isRunning { cluster.start(index) }
                case 3:
                    let side = chaos.below(1 << count)
                    cluster.passes = { side >> $0 & 1 == side >> $1 & 1 }
                case 4:
                    for master in cluster.masters {
                        cluster.handle(.transfer(to: ElectionCluster.id(index)), at: master)
                    }
                case 5: cluster.handle(.leave, at: index)
                default:
                    cluster.passes = { _, _ in true }
                    cluster.loss = chaos.fraction() * 0.3
                }
                if chaos.below(3) == 0 { cluster.noticeSoon() }
                cluster.run(for: chaos.duration(in: .milliseconds(100)...(.seconds(8))))
            }
        }
    }
}
