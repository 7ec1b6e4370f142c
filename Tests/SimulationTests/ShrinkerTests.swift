import Foundation
@testable import Simulator
import Testing

struct ShrinkerTests {
    /// Any of many faults breaks this promise, which no cluster could keep.
    private let fragile = #"""
        {"name":"a","nodes":5,"liveness":{"at":"6s","within":"10s"},"duration":"90s",
         "expect":["stability"],
         "swarm":{"partition":[0.1,0.1],"crash":[0.1,0.1],"loss":[0.05,0.05],"lasts":["3s","9s"]},
         "faults":[{"at":"20s","for":"10s","partition":{"sides":[["n1","n2"],["n3"]]}},
          {"at":"40s","for":"10s","partition":{"sides":[["n1"],["n2"]]}},
          {"at":"50s","for":"10s","isolation":{"nodes":"*"}},
          {"at":"60s","for":"2s","stall":{"node":"n1"}}]}
        """#

    @Test func `what is left breaks the same property with the fewest faults`() throws {
        let scenario = try scenario(fragile)
        let outcome = try #require(Shrinker.shrink(scenario, seed: 3))
        #expect(outcome.isMinimal)
        #expect(outcome.faultsBefore >= 4)
        #expect(outcome.faultsAfter == 1)
        #expect(outcome.scenario.nodeCount < 5)
        let text = Array(outcome.scenario.json.utf8)
        let again = Simulation(scenario: try Scenario(json: text), seed: 3).run()
        #expect(again.violation?.invariant == outcome.violation.invariant)
        // Nothing more can be left out.
        var none = outcome.scenario
        none.faults = []
        #expect(Simulation(scenario: none, seed: 3).run().violation == nil)
    }

    @Test func `it stops when it is told to, and still has a failure`() throws {
        var budget = 3
        let outcome = try #require(
            Shrinker.shrink(try scenario(fragile), seed: 3) {
                budget -= 1
                return budget >= 0
            }
        )
        #expect(!outcome.isMinimal)
        #expect(outcome.runCount == 4)
        let again = Simulation(scenario: outcome.scenario, seed: 3).run()
        #expect(again.violation?.invariant == outcome.violation.invariant)
    }

    @Test func `a seed that breaks nothing has nothing to shrink or explain`() throws {
        let healthy = try scenario(#"{"name":"a","nodes":2}"#)
        #expect(Shrinker.shrink(healthy, seed: 1) == nil)
        #expect(Explanation.explain(healthy, seed: 1) == nil)
    }

    @Test func `a failure of chance is decided at a moment`() throws {
        // Whether some seconds of loss cost the master depends on chance.
        let text = #"""
            {"name":"a","nodes":3,"liveness":{"at":"6s","within":"10s"},"duration":"60s",
             "expect":["stability"],
             "faults":[{"at":"30s","for":"3s","link":{"from":"*","to":"*","loss":0.3}}]}
            """#
        let scenario = try scenario(text)
        let seed = try #require(
            (1...30 as ClosedRange<UInt64>).first {
                Simulation(scenario: scenario, seed: $0).run().violation != nil
            }
        )
        let explanation = try #require(
            Explanation.explain(scenario, seed: seed, continuationCount: 8)
        )
        #expect(explanation.points.last?.share == 1)
        let early = explanation.points.filter { $0.at < .seconds(30) }
        #expect(early.allSatisfy { $0.share < 1 }, "\(early)")
        let jump = try #require(explanation.jump)
        #expect(jump.to.share > jump.from.share)
    }
}

struct TraceComparisonTests {
    private func lines(_ texts: [String]) -> () -> [UInt8]? {
        var iterator = texts.makeIterator()
        return { iterator.next().map { Array($0.utf8) } }
    }

    private func line(_ index: Int, cause: Int, _ message: String) -> String {
        #"{"i":\#(index),"t":1.5,"kind":"log","cause":\#(cause),"message":"\#(message)"}"#
    }

    @Test func `equal traces have no difference`() throws {
        let texts = [line(1, cause: 0, "a"), line(2, cause: 1, "b")]
        let found = try TraceComparison.firstDifference(lines(texts), lines(texts))
        #expect(found == nil)
    }

    @Test func `the first line that differs is found, with its causes`() throws {
        let common = [
            line(1, cause: 0, "a"), line(2, cause: 0, "b"), line(3, cause: 1, "c"),
            line(4, cause: 2, "d"),
        ]
        let first = common + [line(5, cause: 3, "e")]
        let second = common + [line(5, cause: 4, "e")]
        let found = try TraceComparison.firstDifference(lines(first), lines(second))
        let difference = try #require(found)
        #expect(difference.lineNumber == 5)
        #expect(difference.context == common)
        let left = try #require(difference.first)
        #expect(TraceComparison.chain(of: left, in: lines(first)) == [common[2], common[0]])
        let right = try #require(difference.second)
        #expect(TraceComparison.chain(of: right, in: lines(second)) == [common[3], common[1]])
    }

    @Test func `a trace that ends sooner differs there`() throws {
        let texts = [line(1, cause: 0, "a"), line(2, cause: 1, "b")]
        let found = try TraceComparison.firstDifference(lines(texts), lines([texts[0]]))
        let difference = try #require(found)
        #expect(difference.lineNumber == 2)
        #expect(difference.first == texts[1])
        #expect(difference.second == nil)
    }

    @Test func `what is no trace is refused with its line`() {
        let good = [line(1, cause: 0, "a"), line(2, cause: 1, "b")]
        let error = #expect(throws: TraceComparison.Unreadable.self) {
            try TraceComparison.firstDifference(lines(good), lines([good[0], "hello"]))
        }
        #expect(error?.lineNumber == 2)
        #expect(error?.isFirst == false)
    }
}
