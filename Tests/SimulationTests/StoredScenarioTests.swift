import Foundation
import Simulator
import Testing

struct StoredScenarioTests {
    /// Thousands of seeds are for `caravan simulate sweep`; this says that each can be run at all.
    static let names: [String] = {
        let folder = simulationsFolder.path()
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []
        return names.filter { $0.hasSuffix(".sim.json") }
            .map { String($0.dropLast(".sim.json".count)) }.sorted()
    }()

    @Test(arguments: names)
    func `every scenario holds`(name: String) throws {
        let scenario = try storedScenario(name)
        #expect(scenario.name == name)
        #expect(Simulation(scenario: scenario, seed: 1).run().violation == nil)
    }

    @Test func `there are scenarios`() {
        #expect(Self.names.count >= 20)
    }

    /// Seeds that once found something; the name says what.
    @Test(arguments: [
        // S4: streams told of an incarnation that was not on disk yet.
        ("stalled-master", 4 as UInt64), ("one-way-to", 2), ("swarm-network", 5),
        // L2: of fifty that join at once, some missed each other for half a minute.
        ("mass-join", 23),
        // launch: a half-open stream during the handshake was waited for without limit.
        ("stream-reset", 76),
        // S3: the llama-server of a deposed master went on connecting to workers.
        ("swarm-all", 89),
        // lease: a full disk kept a master from hearing that it was deposed.
        ("swarm-more", 59),
        // launch: a master that knew of nothing wanted never asked those who came later.
        ("swarm-more", 347),
        // lease: the oracle took a late answer for obedience, and a reign before the last one for
        // the last one.
        ("swarm-more", 140), ("swarm-more", 43),
        // S2 and settled: devices that leave while others come and go.
        ("swarm-leave", 18), ("swarm-leave", 23), ("swarm-leave", 28), ("swarm-leave", 39),
        // S2: an obeyed beat that arrived at the next device with the address of the one meant.
        ("swarm-crash", 20_783_000_010),
        // L4: a sync told of a later death, and made a ghost of who was held for dead already.
        ("swarm-voters", 20_783_000_077),
        // S4: a clock that jumped by minutes made a tombstone old, and older news came; the oracle
        // took that for going back.
        ("swarm-more", 20_783_000_118),
        // lease: the oracle forgot what the voters of before had obeyed when the voters changed.
        ("swarm-voters", 20_783_000_218),
        // L1: a device that was asked to leave went when all had been well; the oracle took the
        // election that followed for trouble.
        ("swarm-voters", 20_783_004_320),
        // S4: what lay in a stalled process's socket when it was killed reached its next life, even
        // before that had begun.
        ("swarm-all", 20_783_001_399),
        // lease: the oracle counted the word of a member that was held for dead.
        ("swarm-all", 20_783_006_418),
        // S1: a device that became a voter after the election of a term voted in that term for
        // another, who knew the term's voters and not the term.
        ("swarm-voters", 20_783_012_179),
        // S3: an RPC server was found reachable that worked for another master by then.
        ("swarm-all", 20_783_000_953),
        // launch: a master that was asked ended before it had that on disk, and nobody asked again.
        ("swarm-all", 20_783_004_295),
        // lease: the oracle looked at who had obeyed when the next beat was sent, and by then those
        // who had been new counted as silent.
        ("swarm-more", 20_784_000_633),
        // S6: what a process was still writing when it had left reached the disk after its next
        // life had read it.
        ("swarm-quorum", 20_784_000_472), ("swarm-quorum", 20_784_001_867),
        // L4: who stood still gave suspects that time again for each timer that came late.
        ("swarm-crash", 20_784_102_232),
        // S3: a llama-server whose agent stood still got through to a worker of the next master,
        // which the relay, a part of that agent, would not have carried.
        ("swarm-all", 20_784_103_396),
        // quality: after a cut, a device buried others from whom it had heard again.
        ("lone-master", 780),
        // lease: the oracle did not count when a death left a master with a newcomer only.
        ("swarm-network", 99),
        // lease: the oracle took an answer to the ballot before for one to a ballot that waited for
        // the disk.
        ("swarm-all", 20_784_201_549),
        // lease: with a full disk a master's lease never ended, because its timer waited, too.
        ("swarm-more", 20_784_301_048),
        // L4: two faults together made datagrams of a dead life more than two minutes old; they
        // arrived when the network had been quiet for 14 s.
        ("swarm-quorum", 993),
        // launch: the ends of the workers were reset while llama-server loaded, its own were not
        // told: it waited in silence for as long as a load without progress may last, 300 s, and
        // the scenarios gave it 60.
        ("stream-reset", 5676), ("reset-and-crash", 4125),
        // S3: a worker's word was ten seconds old, and it had worked for another master since.
        ("swarm-more", 20_784_301_445),
    ])
    func `what was found once stays mended`(name: String, seed: UInt64) throws {
        let result = Simulation(scenario: try storedScenario(name), seed: seed).run()
        #expect(result.violation == nil)
    }
}
