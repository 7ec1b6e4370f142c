import Simulator
import Testing

struct QualityTests {
    private func violation(bounds: String) throws -> Violation? {
        let scenario = try scenario(
            #"""
            {"name":"a","nodes":3,"duration":"60s","liveness":{"at":"50s","within":"10s"},
             "bounds":\#(bounds),
             "faults":[{"at":"20s","crash":{"node":"n3","power":true}}]}
            """#
        )
        return Simulation(scenario: scenario, seed: 1).run().violation
    }

    @Test func `a run within its bounds is fine`() throws {
        let bounds = #"""
            {"falseAccusations":0,"detection":"30s","masterless":"20s","messages":100,"bytes":9000}
            """#
        #expect(try violation(bounds: bounds) == nil)
    }

    @Test(arguments: [
        (#"{"detection":"1ms"}"#, "a death was seen after"),
        (#"{"masterless":"1ms"}"#, "without a master"),
        (#"{"messages":0.5}"#, "datagrams a node and second"),
        (#"{"bytes":5}"#, "bytes a node and second"),
    ])
    func `what is out of bounds is said with its number`(bounds: String, words: String) throws {
        let violation = try #require(try violation(bounds: bounds))
        #expect(violation.invariant == "quality")
        #expect(violation.detail.contains(words), "\(violation)")
    }

    @Test func `bounds are read strictly and written back`() throws {
        let text = #"{"name":"a","nodes":2,"bounds":{"detection":"3s","messages":7.5}}"#
        let read = try scenario(text)
        #expect(try scenario(read.json) == read)
        #expect(problem(#"{"name":"a","nodes":2,"bounds":{"speed":1}}"#)?.contains("speed") == true)
        #expect(
            problem(#"{"name":"a","nodes":2,"bounds":{"detection":"-1s"}}"#)?
                .contains("bounds.detection") == true
        )
    }
}
