import Foundation
@testable import Simulator
import Testing

struct ScenarioTests {
    @Test func `the shortest scenario has documented defaults`() throws {
        let scenario = try scenario(#"{"name":"a","nodes":3}"#)
        #expect(scenario.seed == 1)
        #expect(scenario.liveness == Liveness(at: .zero))
        #expect(scenario.duration == .seconds(35))
        #expect(scenario.expectations == [.convergence])
        #expect(scenario.network == LinkSettings())
    }

    @Test func `faults are read with their times and nodes`() throws {
        let scenario = try scenario(
            #"""
            {"name":"a","nodes":3,"faults":[
              {"at":"1.5s","for":"2m","partition":{"sides":[["n1"],["n2","n3"]]}},
              {"at":"250ms","for":"permanent","oneWay":{"from":"n1","to":"*"}},
              {"at":"1s","crash":{"node":["n2"],"disk":"torn","power":true}}]}
            """#
        )
        #expect(
            scenario.faults == [
                ScheduledFault(
                    at: .milliseconds(1500),
                    lasts: .seconds(120),
                    fault: .partition([[0], [1, 2]])
                ),
                ScheduledFault(
                    at: .milliseconds(250),
                    lasts: nil,
                    fault: .oneWay(from: [0], to: [0, 1, 2])
                ),
                ScheduledFault(
                    at: .seconds(1),
                    lasts: nil,
                    fault: .crash([1], disk: .torn, power: true)
                ),
            ]
        )
        // Liveness is judged from the end of the last fault that ends.
        #expect(scenario.liveness.at == .milliseconds(121_500))
    }

    @Test(arguments: [
        (
            #"{"name":"a","nodes":3,"fautls":[]}"#,
            "1:23: unknown key \"fautls\", did you mean \"faults\"?; known here: "
        ),
        (#"{"nodes":3}"#, "1:1: the key \"name\" is missing"),
        (
            "{\"name\":\"a\",\n \"nodes\":0}",
            "2:10: nodes: expected a whole number from 1 to 1000, found 0.0"
        ),
        (
            #"{"name":"a","nodes":2,"duration":"-5s"}"#,
            "1:34: duration: expected a duration such as"
        ),
        (
            #"{"name":"a","nodes":2,"duration":"5 parsecs"}"#,
            "1:34: duration: expected a duration such as"
        ),
        (
            #"{"name":"a","nodes":2,"faults":[{"at":"1s","stall":{"node":"n3"}}]}"#,
            "1:60: faults[0].stall.node: there is no node \"n3\"; the nodes are n1 to n2"
        ),
        (
            #"{"name":"a","nodes":2,"faults":[{"at":"1s","explode":{}}]}"#,
            "1:44: faults[0]: unknown key \"explode\"; known here: "
        ),
        (
            #"{"name":"a","nodes":2,"faults":[{"at":"1s"}]}"#,
            "1:33: faults[0]: expected exactly one of partition, oneWay"
        ),
        (
            #"{"name":"a","nodes":2,"network":{"loss":1.5}}"#,
            "1:41: network.loss: expected a number from 0.0 to 1.0, found 1.5"
        ),
        (
            #"{"name":"a","nodes":2,"duration":"10s"}"#,
            "1:34: duration: the run must last until liveness is judged: at least 30s"
        ),
        (
            #"{"name":"a","nodes":2,"startWithin":"2h"}"#,
            "startWithin: the nodes must start before the run ends"
        ),
        (
            #"{"name":"a","nodes":2,"expect":["ready"]}"#,
            "expect: \"ready\" needs a \"model\" that somebody launches"
        ),
        (
            #"{"name":"a","nodes":2,"seed":9007199254740993}"#,
            "1:30: seed: expected a whole number from 0 to 9007199254740991"
        ),
        (
            "{\"name\":\"a\",\"nodes\":2,\"\\u001b[31m\":1}",
            "1:23: unknown key \"?[31m\""
        ),
        (#"{"name":"a","nodes":2"#, "1:22: the file ends where ',' or '}' was expected"),
        (#"{"name":"a","name":"b"}"#, "1:13: the key \"name\" appears twice"),
        ("", "1:1: the file ends where a value was expected"),
        (#"["name"]"#, "1:1: expected an object, found a list"),
    ])
    func `what makes no sense is said with its place`(json: String, message: String) {
        #expect(problem(json)?.hasPrefix(message) == true, "\(problem(json) ?? "no error")")
    }

    @Test func `noise is one short error`() {
        let noise = String(decoding: (0..<10_000_000).map { UInt8($0 % 251) }, as: UTF8.self)
        #expect(problem(noise)?.count ?? 0 < 200)
        let nested = String(repeating: "[", count: 100_000)
        #expect(problem(nested)?.contains("deep") == true)
    }

    @Test func `every truncation of a scenario is refused`() throws {
        let text = #"{"name":"a","nodes":2,"faults":[{"at":"1s","stall":{"node":"n1"}}]}"#
        for count in 0..<text.utf8.count {
            #expect(problem(String(text.prefix(count))) != nil)
        }
        #expect(problem(text) == nil)
    }

    @Test func `a swarm draws the same faults from the same seed`() throws {
        let scenario = try storedScenario("swarm-all")
        let drawn = scenario.drawingSwarm(seed: 7)
        #expect(drawn == scenario.drawingSwarm(seed: 7))
        #expect(drawn != scenario.drawingSwarm(seed: 8))
        #expect(drawn.swarm == nil)
        for fault in drawn.faults {
            #expect(fault.at + (fault.lasts ?? .zero) <= scenario.liveness.at)
        }
    }
}
