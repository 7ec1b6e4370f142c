import Foundation
import Primitives
import SWIM
@testable import Simulator
import Testing

struct DeterminismTests {
    @Test(arguments: ["even-split-4", "power-cut", "hung-worker", "swarm-all"])
    func `one seed is one run`(name: String) throws {
        let scenario = try storedScenario(name)
        let first = Simulation(scenario: scenario, seed: 5).run()
        #expect(first == Simulation(scenario: scenario, seed: 5).run())
        #expect(first.hash != Simulation(scenario: scenario, seed: 6).run().hash)
    }

    @Test func `writing a trace changes nothing`() throws {
        let scenario = try storedScenario("even-split-3")
        var lineCount = 0
        let written = Simulation(scenario: scenario, seed: 2) { _ in lineCount += 1 }.run()
        #expect(written == Simulation(scenario: scenario, seed: 2).run())
        #expect(lineCount > 1000)
    }

    @Test func `every line of a trace is an object with its cause`() throws {
        let scenario = try scenario(#"{"name":"a","nodes":2}"#)
        var lines: [String] = []
        _ = Simulation(scenario: scenario, seed: 2) { lines.append($0) }.run()
        for line in lines {
            let object = try JSONSerialization.jsonObject(with: Data(line.utf8))
            let fields = try #require(object as? [String: Any])
            let index = try #require(fields["i"] as? Int)
            #expect(try #require(fields["cause"] as? Int) <= index)
        }
    }

    /// `Set` and `Dictionary` have another order in each process; one process cannot tell.
    @Test(arguments: ["even-split-5", "swarm-all", "rolling-restart"])
    func `two processes agree, whatever their hash seeds`(name: String) throws {
        let path = simulationsFolder.appending(path: "\(name).sim.json").path()
        let outputs = try [["SWIFT_DETERMINISTIC_HASHING": "1"], [:], [:]].map {
            try caravan(["simulate", "run", path, "--seed", "3"], environment: $0).output
        }
        #expect(outputs[0].contains("hash"))
        #expect(Set(outputs).count == 1)
    }

    @Test(arguments: ["swarm-all", "split-while-serving", "power-cuts"])
    func `machines driven directly want what those in actors want`(name: String) throws {
        let scenario = try storedScenario(name)
        let carried = Simulation(scenario: scenario, seed: 5).run()
        let shadowed = Simulation(scenario: scenario, seed: 5, hasShadows: true).run()
        #expect(shadowed.violation == nil)
        #expect(shadowed.hash == carried.hash)
    }

    @Test func `a machine that was given more than its actor's is found out`() throws {
        let scenario = try scenario(#"{"name":"a","nodes":3}"#)
        let simulation = Simulation(scenario: scenario, seed: 1, hasShadows: true)
        simulation.outside(after: .seconds(10)) { [unowned simulation] in
            var facts = DeviceFacts(name: "somebody else")
            facts.httpPort = 1
            simulation.hosts[0].shadow?.handled(.facts(facts), at: .origin, effects: [])
        }
        let violation = try #require(simulation.run().violation)
        #expect(violation.invariant == "shadow")
        #expect(violation.detail.contains("SWIM machine of n1"), "\(violation)")
    }

    @Test func `a job that leaves the simulated loops is noticed`() throws {
        let scenario = try scenario(#"{"name":"a","nodes":1}"#)
        var hasLeaked = false
        let result = Simulation(scenario: scenario, seed: 1) { _ in
            if !hasLeaked { Task.detached {} }
            hasLeaked = true
        }.run()
        #expect(result.violation?.invariant == "escapedJob")
    }
}
