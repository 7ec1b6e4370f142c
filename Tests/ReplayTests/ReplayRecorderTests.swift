import Primitives
import Simulator
import Testing

@testable import Replay

// What is judged from outside: each promise once kept and once broken.
@Suite struct ReplayRecorderTests {
    private func recorder(
        _ faults: String = "",
        nodes: Int = 4,
        policy: String = "available"
    ) throws -> ReplayRecorder {
        let json =
            #"{"name":"x","nodes":\#(nodes),"policy":"\#(policy)","#
            + #""faults":[\#(faults)],"expect":["stability"]}"#
        var recorder = ReplayRecorder(try Scenario(json: Array(json.utf8)))
        for node in 0..<nodes { _ = recorder.starts(node) }
        return recorder
    }

    private func id(_ node: Int) -> NodeID { NodeID(UInt128(100 + node)) }

    /// What a node says that sees these members, and obeys a node in a term.
    private func view(
        _ node: Int,
        sees: [Int],
        obeys master: (node: Int, term: UInt64)?,
        incarnation: UInt64 = 1,
        voters: [Int]? = nil
    ) -> AgentView {
        AgentView(
            own: id(node),
            master: master.map { Ballot(term: $0.term, node: id($0.node)) },
            members: sees.map {
                AgentView.Member(
                    id: id($0),
                    isPresent: true,
                    incarnation: $0 == node ? incarnation : 1
                )
            },
            voters: voters?.map(id)
        )
    }

    private func agree(
        _ recorder: inout ReplayRecorder,
        _ nodes: [Int],
        on master: Int,
        term: UInt64,
        voters: [Int]? = nil,
        at now: Duration
    ) {
        for node in nodes {
            recorder.sees(
                view(node, sees: nodes, obeys: (master, term), voters: voters),
                of: node,
                life: 1,
                at: now
            )
        }
    }

    private let split = #"{"at":"20s","for":"60s","partition":{"sides":[["n1","n2"]]}}"#

    @Test func `it is well when each side has one master and one view, and not before`() throws {
        var recorder = try recorder(split)
        agree(&recorder, [0, 1, 2], on: 0, term: 1, at: .seconds(1))
        #expect(recorder.trouble == "n4 runs and has said nothing yet")
        agree(&recorder, [0, 1, 2, 3], on: 0, term: 1, at: .seconds(2))
        #expect(recorder.trouble == nil)
        recorder.begins(0, at: .seconds(20))
        recorder.look(at: .seconds(21))
        #expect(recorder.trouble == "n1 takes n3 for present")
        agree(&recorder, [0, 1], on: 0, term: 1, at: .seconds(26))
        #expect(recorder.trouble == "the master that n3 obeys is not on its side")
        agree(&recorder, [2, 3], on: 3, term: 2, at: .seconds(27))
        #expect(recorder.trouble == nil)
        let phases = recorder.finish(at: .seconds(30))
        #expect(phases.map(\.wellAfter) == [.seconds(2), .seconds(7)])
        #expect(
            phases.last?.sides == [
                PhaseRecorder.Side(nodes: ["n1", "n2"], wellAfter: .seconds(6), master: "n1"),
                PhaseRecorder.Side(nodes: ["n3", "n4"], wellAfter: .seconds(7), master: "n4"),
            ]
        )
        #expect(recorder.violation == nil)
    }

    @Test func `a master that no majority can answer must stop within its lease and some slack`()
        throws
    {
        var recorder = try recorder(split)
        agree(&recorder, [0, 1, 2, 3], on: 0, term: 1, at: .seconds(2))
        recorder.begins(0, at: .seconds(20))
        recorder.look(at: .seconds(20))
        recorder.look(at: .seconds(22))
        #expect(recorder.violation == nil)
        var stubborn = recorder
        stubborn.look(at: .seconds(24))
        #expect(stubborn.violation?.invariant == "lease")
        recorder.sees(
            view(0, sees: [0, 1, 2, 3], obeys: nil),
            of: 0,
            life: 1,
            at: .milliseconds(22_500)
        )
        recorder.look(at: .seconds(24))
        #expect(recorder.violation == nil)
        #expect(
            recorder.finish(at: .seconds(25)).last?.stepDowns
                == [PhaseRecorder.StepDown(node: "n1", after: .milliseconds(2500))]
        )
    }

    @Test func `a ballot that is obeyed only rises, across restarts too`() throws {
        var recorder = try recorder()
        agree(&recorder, [0, 1, 2, 3], on: 0, term: 5, at: .seconds(2))
        recorder.ends(1)
        let life = recorder.starts(1)
        recorder.sees(
            view(1, sees: [0, 1], obeys: (0, 4), incarnation: 2),
            of: 1,
            life: life,
            at: .seconds(3)
        )
        #expect(recorder.violation?.invariant == "S2")
    }

    @Test func `a ballot has one master, and one life of it`() throws {
        var recorder = try recorder()
        agree(&recorder, [0, 1, 2, 3], on: 0, term: 5, at: .seconds(2))
        recorder.ends(0)
        let life = recorder.starts(0)
        recorder.sees(
            view(0, sees: [0], obeys: (0, 5), incarnation: 2),
            of: 0,
            life: life,
            at: .seconds(3)
        )
        #expect(recorder.violation?.invariant == "S1")
    }

    @Test func `an incarnation only rises`() throws {
        var recorder = try recorder()
        recorder.sees(
            view(0, sees: [0], obeys: nil, incarnation: 7),
            of: 0,
            life: 1,
            at: .seconds(1)
        )
        recorder.ends(0)
        let life = recorder.starts(0)
        recorder.sees(
            view(0, sees: [0], obeys: nil, incarnation: 6),
            of: 0,
            life: life,
            at: .seconds(2)
        )
        #expect(recorder.violation?.invariant == "S4")
    }

    @Test func `what is not well for longer than the scenario allows is a violation`() throws {
        var recorder = try recorder()
        agree(&recorder, [0, 1, 2, 3], on: 0, term: 1, at: .seconds(2))
        recorder.sees(view(3, sees: [0, 1, 3], obeys: (0, 1)), of: 3, life: 1, at: .seconds(3))
        recorder.look(at: .seconds(33))
        #expect(recorder.violation == nil)
        recorder.look(at: .milliseconds(33_001))
        #expect(recorder.violation?.invariant == "L2")
    }

    @Test func `another master after all was well at the end is a violation`() throws {
        var recorder = try recorder()
        agree(&recorder, [0, 1, 2, 3], on: 0, term: 1, at: .seconds(2))
        let isSettledSoon = recorder.isSettled(for: .seconds(3), at: .seconds(3))
        #expect(!isSettledSoon)
        agree(&recorder, [0, 1, 2, 3], on: 1, term: 2, at: .seconds(4))
        _ = recorder.isSettled(for: .seconds(3), at: .seconds(8))
        #expect(recorder.violation?.invariant == "L1")
    }

    @Test func `what an earlier life said late counts for nothing`() throws {
        var recorder = try recorder()
        recorder.ends(0)
        _ = recorder.starts(0)
        recorder.sees(view(0, sees: [0], obeys: (0, 1)), of: 0, life: 1, at: .seconds(2))
        #expect(recorder.onlyMaster == nil)
    }

    @Test func `a master that stood still is measured from when it runs again`() throws {
        var recorder = try recorder(#"{"at":"20s","for":"9s","stall":{"node":"n1"}}"#)
        agree(&recorder, [0, 1, 2, 3], on: 0, term: 1, at: .seconds(2))
        recorder.begins(0, at: .seconds(20))
        recorder.stalls(0)
        agree(&recorder, [1, 2, 3], on: 1, term: 2, at: .seconds(26))
        recorder.ends(fault: 0, at: .seconds(29))
        recorder.wakes(0)
        recorder.sees(
            view(0, sees: [0, 1, 2, 3], obeys: (1, 2)),
            of: 0,
            life: 1,
            at: .milliseconds(29_100)
        )
        #expect(
            recorder.finish(at: .seconds(30)).last?.stepDowns
                == [PhaseRecorder.StepDown(node: "n1", after: .milliseconds(100))]
        )
    }

    @Test func `a stalled node is asked for nothing, and its neighbours must miss it`() throws {
        var recorder = try recorder(#"{"at":"20s","for":"9s","stall":{"node":"n4"}}"#)
        agree(&recorder, [0, 1, 2, 3], on: 0, term: 1, at: .seconds(2))
        recorder.begins(0, at: .seconds(20))
        recorder.stalls(3)
        recorder.look(at: .seconds(21))
        #expect(recorder.trouble == "n1 takes n4 for present")
        agree(&recorder, [0, 1, 2], on: 0, term: 1, at: .seconds(25))
        #expect(recorder.trouble == nil)
    }

    // MARK: - Voters

    @Test func `a side without a majority of the voters is well without a master`() throws {
        var recorder = try recorder(split, policy: "quorum")
        agree(&recorder, [0, 1, 2, 3], on: 0, term: 1, voters: [0, 1, 2], at: .seconds(2))
        #expect(recorder.trouble == nil && recorder.votersAreComplete)
        recorder.begins(0, at: .seconds(20))
        agree(&recorder, [0, 1], on: 0, term: 1, voters: [0, 1, 2], at: .seconds(26))
        for node in [2, 3] {
            let view = view(node, sees: [2, 3], obeys: nil, voters: [0, 1, 2])
            recorder.sees(view, of: node, life: 1, at: .seconds(27))
        }
        #expect(recorder.trouble == nil)
        agree(&recorder, [2, 3], on: 2, term: 2, voters: [0, 1, 2], at: .seconds(28))
        #expect(recorder.trouble == "n3 is master, and no majority of the voters is there")
    }

    @Test func `a master that lost the majority of the voters must stop in time`() throws {
        var recorder = try recorder(split, policy: "quorum")
        agree(&recorder, [0, 1, 2, 3], on: 0, term: 1, voters: [0, 2, 3], at: .seconds(2))
        recorder.begins(0, at: .seconds(20))
        recorder.look(at: .seconds(20))
        recorder.look(at: .milliseconds(22_900))
        #expect(recorder.violation == nil)
        recorder.look(at: .milliseconds(23_100))
        #expect(recorder.violation?.invariant == "lease")
        #expect(recorder.violation?.detail.contains("1 of 3 voters") == true)
    }

    @Test func `a term has one master where voters elect it`() throws {
        var recorder = try recorder(policy: "quorum")
        agree(&recorder, [0, 1, 2, 3], on: 0, term: 1, voters: [0, 1, 2], at: .seconds(2))
        agree(&recorder, [1, 2, 3], on: 1, term: 1, voters: [0, 1, 2], at: .seconds(3))
        #expect(recorder.violation?.invariant == "S1")
    }

    @Test func `while the voters change nothing is demanded, and they are not complete`() throws {
        var recorder = try recorder(policy: "quorum")
        agree(&recorder, [0, 1, 2, 3], on: 0, term: 1, voters: [0], at: .seconds(2))
        #expect(!recorder.votersAreComplete)
        for node in [2, 3] {
            let view = view(node, sees: [0, 1, 2, 3], obeys: nil, voters: [0, 7, 8])
            recorder.sees(view, of: node, life: 1, at: .seconds(3))
        }
        #expect(recorder.trouble == nil && !recorder.votersAreComplete)
    }
}
