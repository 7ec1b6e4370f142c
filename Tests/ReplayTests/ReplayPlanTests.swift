import Namespaces
import Primitives
import Simulator
import Testing

@testable import Replay

@Suite struct ReplayPlanTests {
    private func scenario(_ faults: String, _ rest: String = "") throws -> Scenario {
        try Scenario(json: Array(#"{"name":"x","nodes":4,"faults":[\#(faults)]\#(rest)}"#.utf8))
    }

    private let split = #"{"at":"20s","for":"60s","partition":{"sides":[["n1"]]}}"#
    private let crash = #"{"at":"100s","for":"5s","crash":{"node":"n2"}}"#

    @Test func `faults begin and end in the order of their moments`() throws {
        let plan = try ReplayPlan(
            scenario(crash + "," + split),
            ReplayPlan.Options(),
            nodeLimit: 64
        )
        #expect(
            plan.steps == [
                ReplayPlan.TimedStep(at: .seconds(20), step: .begin(1)),
                ReplayPlan.TimedStep(at: .seconds(80), step: .end(1)),
                ReplayPlan.TimedStep(at: .seconds(100), step: .begin(0)),
                ReplayPlan.TimedStep(at: .seconds(105), step: .end(0)),
            ]
        )
    }

    @Test func `a fault that ends when another begins has ended before, if the file says so first`()
        throws
    {
        let second = #"{"at":"80s","for":"1s","stall":{"node":"n1"}}"#
        let plan = try ReplayPlan(
            scenario(split + "," + second),
            ReplayPlan.Options(),
            nodeLimit: 64
        )
        #expect(plan.steps.map(\.step) == [.begin(0), .end(0), .begin(1), .end(1)])
    }

    @Test func `a shortened scenario is judged from the end of its last fault`() throws {
        var options = ReplayPlan.Options()
        options.faults = 1...1
        options.longest = .seconds(15)
        let plan = try ReplayPlan(scenario(split + "," + crash), options, nodeLimit: 64)
        #expect(plan.scenario.faults.count == 1)
        #expect(plan.scenario.liveness.at == .seconds(35))
        #expect(plan.scenario.duration == .seconds(70))
    }

    @Test(arguments: [
        #"{"at":"1s","for":"1s","jam":{"from":"n1","to":"*"}}"#,
        #"{"at":"1s","drift":{"node":"n1","rate":2}}"#,
        #"{"at":"1s","link":{"from":"*","to":"*","latency":"9ms"}}"#,
        #"{"at":"1s","disk":{"node":"n1","does":"full"}}"#,
    ])
    func `a fault that real sockets cannot have is refused, with its number`(fault: String) throws {
        let scenario = try scenario(split + "," + fault)
        let error = #expect(throws: ReplayError.self) {
            try ReplayPlan(scenario, ReplayPlan.Options(), nodeLimit: 64)
        }
        #expect(error?.description.hasPrefix("fault 2 ") == true)
    }

    @Test func `what is asked for must be in the scenario`() throws {
        let scenario = try scenario(split)
        var faults = ReplayPlan.Options()
        faults.faults = 1...2
        var master = ReplayPlan.Options()
        master.master = 4
        for options in [faults, master] {
            #expect(throws: ReplayError.self) {
                try ReplayPlan(scenario, options, nodeLimit: 64)
            }
        }
        #expect(throws: ReplayError.self) {
            try ReplayPlan(scenario, ReplayPlan.Options(), nodeLimit: 3)
        }
    }

    @Test func `later faults of a link override earlier ones while they last`() throws {
        let scenario = try scenario(
            #"{"at":"1s","for":"9s","link":{"from":"*","to":"*","loss":0.3}},"#
                + #"{"at":"2s","for":"1s","link":{"from":"n1","to":"n2","loss":1,"capacity":9}},"#
                + #"{"at":"2s","for":"1s","oneWay":{"from":"n3","to":"*"}}"#
        )
        var conditions = ReplayConditions(scenario)
        #expect(conditions.rules.loss.isEmpty)
        for fault in 0..<3 { conditions.begin(fault) }
        let rules = conditions.rules
        #expect(rules.loss.count == 12)
        #expect(rules.loss[DirectedLink(from: 0, to: 1)] == 1)
        #expect(rules.loss[DirectedLink(from: 1, to: 0)] == 0.3)
        #expect(rules.capacity == [DirectedLink(from: 0, to: 1): 9])
        #expect(
            rules.blocked == [
                DirectedLink(from: 2, to: 0), DirectedLink(from: 2, to: 1),
                DirectedLink(from: 2, to: 3),
            ]
        )
        conditions.end(1)
        #expect(conditions.rules.loss[DirectedLink(from: 0, to: 1)] == 0.3)
        #expect(conditions.rules.capacity.isEmpty)
    }
}
