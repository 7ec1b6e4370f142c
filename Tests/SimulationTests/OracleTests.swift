import Primitives
import Simulator
import Testing

struct OracleTests {
    @Test func `a bound that cannot be kept is reported with what is missing`() throws {
        let scenario = try scenario(
            #"""
            {"name":"a","nodes":3,"liveness":{"at":"0s","within":"500ms"},
             "network":{"latency":"40ms"}}
            """#
        )
        let violation = try #require(Simulation(scenario: scenario, seed: 1).run().violation)
        #expect(violation.invariant == "L1")
        #expect(violation.detail.contains("obeys no master"))
    }

    @Test func `another master after all was well is reported`() throws {
        let scenario = try scenario(
            #"""
            {"name":"a","nodes":3,"liveness":{"at":"5s","within":"10s"},"duration":"60s",
             "expect":["stability"],
             "faults":[{"at":"20s","for":"10s","partition":{"sides":[["n1"],["n2"]]}}]}
            """#
        )
        let violation = try #require(Simulation(scenario: scenario, seed: 1).run().violation)
        #expect(violation.invariant == "L1")
    }

    @Test func `a run ends when all has been well for as long as is asked`() throws {
        let text = { (hold: String) in
            #"{"name":"a","nodes":3,"liveness":{"at":"5s","within":"60s"\#(hold)}}"#
        }
        let whole = Simulation(scenario: try scenario(text("")), seed: 1).run()
        let held = try scenario(text(#","hold":"4s""#))
        let short = Simulation(scenario: held, seed: 1).run()
        let converged = try #require(short.convergedAfter)
        #expect(whole.virtualTime == .seconds(70))
        #expect(whole.convergedAfter == converged)
        #expect(short.virtualTime >= .seconds(9) + converged)
        #expect(short.virtualTime < .seconds(10) + converged)
        #expect(try scenario(held.json) == held)
    }

    @Test func `launches may be given longer, and nothing else then is`() throws {
        let launch = { (more: String) in
            #"""
            {"name":"a","nodes":2,"model":{"loadTime":"20s"},"expect":["convergence","ready"],
             "liveness":{"at":"6s","within":"10s"\#(more)}}
            """#
        }
        let short = Simulation(scenario: try scenario(launch("")), seed: 1).run()
        #expect(short.violation?.invariant == "launch")
        let longer = try scenario(launch(#","launchWithin":"60s""#))
        #expect(Simulation(scenario: longer, seed: 1).run().violation == nil)
        #expect(try scenario(longer.json) == longer)
        let late = try scenario(
            #"""
            {"name":"a","nodes":3,"network":{"latency":"40ms"},
             "liveness":{"at":"0s","within":"500ms","launchWithin":"60s"}}
            """#
        )
        #expect(Simulation(scenario: late, seed: 1).run().violation?.invariant == "L1")
    }

    @Test func `each side of a lasting partition needs its own master`() throws {
        let scenario = try scenario(
            #"""
            {"name":"a","nodes":5,"liveness":{"at":"20s","within":"20s"},
             "faults":[{"at":"10s","partition":{"sides":[["n1","n2"],["n3","n4","n5"]]}}]}
            """#
        )
        let result = Simulation(scenario: scenario, seed: 1).run()
        #expect(result.violation == nil)
        #expect(result.convergedAfter != nil)
    }

    @Test func `a model that nobody holds fails with a reason`() throws {
        let text = { (expectation: String) in
            #"""
            {"name":"a","nodes":2,"model":{"holders":[]},"expect":["\#(expectation)"]}
            """#
        }
        let settled = Simulation(scenario: try scenario(text("settled")), seed: 1).run()
        #expect(settled.violation == nil)
        let ready = Simulation(scenario: try scenario(text("ready")), seed: 1).run()
        let violation = try #require(ready.violation)
        #expect(violation.invariant == "launch")
        #expect(violation.detail.contains("not on this device"))
    }
}
