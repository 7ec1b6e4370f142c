@testable import Simulator
import Testing

struct ScenarioWritingTests {
    @Test(arguments: StoredScenarioTests.names)
    func `what is written reads as an equal scenario`(name: String) throws {
        let stored = try storedScenario(name)
        #expect(try scenario(stored.json) == stored)
        for seed in 1...25 as ClosedRange<UInt64> {
            var drawn = stored.drawingSwarm(seed: seed)
            drawn.seed = seed
            #expect(try scenario(drawn.json) == drawn, "seed \(seed)")
        }
    }

    @Test(
        arguments: ["swarm-all", "swarm-crash", "swarm-network", "swarm-more"],
        [1, 2, 3] as [UInt64]
    )
    func `a swarm's run is the run of the faults that it drew`(name: String, seed: UInt64) throws {
        let stored = try storedScenario(name)
        let written = try scenario(stored.drawingSwarm(seed: seed).json)
        #expect(written.swarm == nil)
        #expect(
            Simulation(scenario: written, seed: seed).run()
                == Simulation(scenario: stored, seed: seed).run()
        )
    }

    @Test(arguments: [0, 1, 999, 1_500_000_000, 9_007_199_254_740_993, 99_999_999_999_999_999])
    func `durations survive to the nanosecond`(nanoseconds: Int64) throws {
        let duration = Duration.nanoseconds(nanoseconds)
        #expect(Duration(scenarioText: duration.scenarioText) == duration)
    }

    @Test func `names, descriptions and large seeds survive`() throws {
        var original = try scenario(#"{"name":"a","nodes":2,"network":{"latency":"8ms"}}"#)
        original.name = "quote \" backslash \\ newline \n bell \u{7} ü 🐪"
        original.description = "what it shows"
        original.seed = .max
        #expect(try scenario(original.json) == original)
    }

    @Test func `a run beyond what can be written is refused`() {
        let text = #"{"name":"a","nodes":1,"liveness":{"at":"27000h","within":"27000h"}}"#
        #expect(problem(text)?.contains("duration: the run would last") == true)
    }
}
