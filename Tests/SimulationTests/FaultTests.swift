import Primitives
@testable import Simulator
import Testing

struct FaultTests {
    /// Each kind of fault once, with what it may say.
    static let faults = [
        #""partition":{"sides":[["n1"],["n2","n3"]]}"#,
        #""oneWay":{"from":"n1","to":"*"}"#,
        #""bridge":{"sides":[["n1"],["n2"]],"over":"n3"}"#,
        #""isolation":{"nodes":["n1","n2"]}"#,
        #""link":{"from":"*","to":"n3","loss":0.3,"latency":"9ms","capacity":4000}"#,
        #""jam":{"from":"n1","to":["n2"]}"#,
        #""reset":{"from":"*","to":"n2"}"#,
        #""crash":{"node":"n1","disk":"torn","power":true}"#,
        #""join":{"node":"n3"}"#,
        #""stall":{"node":"n2"}"#,
        #""slow":{"node":"n2","factor":2.5}"#,
        #""drift":{"node":"n2","rate":1.01}"#,
        #""jump":{"node":"n2","by":"10m"}"#,
        #""disk":{"node":"n2","does":"full"}"#,
        #""rpcServer":{"node":"n2","does":"die"}"#,
        #""llamaServer":{"node":"n2","does":"hang"}"#,
        #""transfer":{"to":"n2"}"#,
        #""leave":{"node":["n1","n2"]}"#,
        #""drain":{"node":"*"}"#,
    ]

    static func text(_ fault: String) -> String {
        #"{"name":"a","nodes":3,"faults":[{"at":"1s","for":"2s",\#(fault)}]}"#
    }

    @Test(arguments: faults)
    func `every fault survives being written, and runs`(fault: String) throws {
        let read = try scenario(Self.text(fault))
        #expect(read.faults.count == 1)
        #expect(try scenario(read.json) == read)
        #expect(Simulation(scenario: read, seed: 3).run().violation == nil)
    }

    @Test(arguments: faults)
    func `a stranger among a fault's nodes is refused with its place`(fault: String) throws {
        let wrong = Self.text(fault.replacing("\"n2\"", with: "\"n9\""))
        guard fault.contains("\"n2\"") else { return }
        #expect(problem(wrong)?.contains("there is no node \"n9\"") == true)
        #expect(problem(wrong)?.hasPrefix("1:") == true)
    }

    @Test(arguments: faults)
    func `an unknown key of a fault comes before what is missing`(fault: String) throws {
        let wrong = Self.text(fault.replacing(":{", with: ":{\"strange\":1,"))
        #expect(problem(wrong)?.contains("unknown key \"strange\"; known here: ") == true)
    }

    @Test(arguments: [
        (#""stall":{"nod":"n2"}"#, #"unknown key "nod", did you mean "node"?"#),
        (#""slow":{"node":"n2","factor":0}"#, "faults[0].slow.factor: expected a number from 1.0"),
        (#""jump":{"node":"n2","by":"-5s"}"#, "faults[0].jump.by: expected a duration"),
        (#""jump":{"node":"n2","by":"25h"}"#, "expected at most \"24h\", found \"25h\""),
        (#""disk":{"node":"n2","does":"fill"}"#, "expected one of \"full\", found \"fill\""),
        (#""link":{"from":"n1","to":"n2","capacity":0}"#, "capacity: expected a whole number"),
        (#""llamaServer":{"node":"n2","does":"sing"}"#, "\"abort\", \"hang\", \"neverReady\""),
        (#""transfer":{"to":"*"}"#, "there is no node \"*\""),
        (#""transfer":{"node":"n2"}"#, "unknown key \"node\""),
        (#""leave":{"to":"n2"}"#, "unknown key \"to\""),
    ])
    func `what a fault cannot be is said`(fault: String, message: String) {
        let found = problem(Self.text(fault)) ?? "no error"
        #expect(found.contains(message), "\(found)")
    }

    private func records(_ faults: String) throws -> [String: Int] {
        let text = #"{"name":"a","nodes":3,"model":{"requestEvery":"2s"},"faults":[\#(faults)]}"#
        return Simulation(scenario: try scenario(text), seed: 2).run().statistics.records
    }

    @Test func `a device that was drained is still drained when it starts again, until undone`()
        throws
    {
        let crash = #"{"at":"20s","for":"3s","crash":{"node":"n3"}}"#
        #expect(try records(crash)["agent.drained"] == nil)
        let drained = #"{"at":"15s","for":"30s","drain":{"node":"n3"}},"#
        #expect(try records(drained + crash)["agent.drained"] == 1)
        // Undone in between, or while it was away.
        let undone = #"{"at":"15s","for":"4s","drain":{"node":"n3"}},"#
        #expect(try records(undone + crash)["agent.drained"] == nil)
        let again = #",{"at":"40s","for":"3s","crash":{"node":"n3"}}"#
        let away = #"{"at":"15s","for":"6s","drain":{"node":"n3"}},"#
        #expect(try records(away + crash + again)["agent.drained"] == 1)
        // Who left for good takes work when it comes back.
        let left = #"{"at":"15s","for":"10s","leave":{"node":"n3"}}"#
        #expect(try records(left)["agent.drained"] == nil)
    }

    @Test func `a full disk is complained of, and llama-server that aborts is replaced`() throws {
        #expect(try records("")["agent.state.unwritable"] == nil)
        #expect(try records("")["placement.server.ended"] == nil)
        let full = try records(#"{"at":"0s","for":"5s","disk":{"node":"*","does":"full"}}"#)
        #expect(full["agent.state.unwritable"] == 3)
        let abort = #"{"at":"15s","for":"0s","llamaServer":{"node":"*","does":"abort"}}"#
        #expect(try records(abort)["placement.server.ended"] == 1)
        // A worker's stream is reset in the middle of a generation.
        let reset = (0..<5).map {
            #"{"at":"\#(15000 + 500 * $0)ms","for":"0s","reset":{"from":"*","to":"*"}}"#
        }
        #expect(try records(reset.joined(separator: ","))["placement.server.ended"] ?? 0 >= 1)
    }

    @Test func `who joins later does not start before`() throws {
        let scenario = try storedScenario("late-join")
        var starts: [String] = []
        _ = Simulation(scenario: scenario, seed: 1) { line in
            if line.contains(#""kind":"start""#) { starts.append(line) }
        }.run()
        #expect(starts.count == 50)
        #expect(starts.filter { $0.contains(#""t":20"#) }.count == 45)
    }

    @Test func `a misspelt key of the scenario comes before what is missing`() {
        let found = problem(#"{"name":"a","nodez":3}"#)
        #expect(found?.hasPrefix(#"1:13: unknown key "nodez", did you mean "nodes"?"#) == true)
    }

    @Test func `a policy is one of two`() {
        #expect(problem(#"{"name":"a","nodes":3,"policy":"quorum"}"#) == nil)
        let found = problem(#"{"name":"a","nodes":3,"policy":"quorom"}"#)
        #expect(found?.contains("expected one of \"available\", \"quorum\"") == true)
    }

    @Test func `a jam without an end is refused`() {
        let text = #"{"name":"a","nodes":3,"faults":[{"at":"1s","jam":{"from":"*","to":"*"}}]}"#
        #expect(problem(text)?.contains("a jam must end") == true)
    }

    /// Whatever is done to a file, it is a scenario or one short error.
    @Test func `2000 mutations of a file never crash the reader`() throws {
        let original = Array(
            (#"{"name":"a","nodes":3,"model":{"requestEvery":"2s"},"faults":["#
                + Self.faults.map { #"{"at":"1s","for":"2s",\#($0)}"# }.joined(separator: ",")
                + #"],"swarm":{"crash":[0,0.1]},"liveness":{"at":"9s","core":["n1"]}}"#).utf8
        )
        var draws = SeededGenerator(seed: 11)
        let marks = Array("\"{}[]:,-.0919eEnx* \\\u{0}".utf8)
        var validCount = 0
        for _ in 0..<2000 {
            var bytes = original
            for _ in 0...draws.below(3) {
                let place = draws.below(bytes.count)
                let other = draws.below(bytes.count)
                switch draws.below(4) {
                case 0: bytes[place] = marks[draws.below(marks.count)]
                case 1: bytes.insert(marks[draws.below(marks.count)], at: place)
                case 2: bytes.remove(at: place)
                default:
                    let end = min(bytes.count, place + 1 + draws.below(20))
                    bytes.insert(contentsOf: bytes[place..<end], at: other)
                }
            }
            do throws(ScenarioError) {
                let read = try Scenario(json: bytes)
                #expect(try Scenario(json: Array(read.json.utf8)) == read)
                validCount += 1
            } catch {
                #expect(!error.message.isEmpty && "\(error)".count < 600)
            }
        }
        #expect((1..<1900).contains(validCount), "\(validCount)")
    }
}
