import Primitives
import Simulator
import Testing

// How soon deaths are noticed in the simulated world, by the very actors that run on devices.
struct DetectionTests {
    private func times(_ faults: String, nodes: Int, seed: UInt64) throws -> QualityFigures {
        let text =
            #"{"name":"a","nodes":\#(nodes),"faults":[\#(faults)]}"#
        let result = Simulation(scenario: try scenario(text), seed: seed).run()
        #expect(result.violation == nil)
        return result.statistics.quality
    }

    @Test(arguments: [2, 5, 10])
    func `a killed agent is dead at every other within 0.6 s, and nobody else is accused`(
        nodes: Int
    ) throws {
        for seed in 1...5 as ClosedRange<UInt64> {
            let crash = #"{"at":"20s","for":"10s","crash":{"node":"n2"}}"#
            let quality = try times(crash, nodes: nodes, seed: seed)
            #expect(quality.detectionTimes.count == nodes - 1, "seed \(seed)")
            let last = quality.detectionTimes.max() ?? .seconds(99)
            #expect(last < .milliseconds(600), "seed \(seed): \(last)")
            #expect(quality.falseAccusationCount == 0)
        }
    }

    @Test func `a device that goes dark is dead at every other within 4 s`() throws {
        for seed in 1...5 as ClosedRange<UInt64> {
            let power = #"{"at":"30s","for":"15s","crash":{"node":"n3","power":true}}"#
            let quality = try times(power, nodes: 10, seed: seed)
            #expect(quality.detectionTimes.count == 9, "seed \(seed)")
            let last = quality.detectionTimes.max() ?? .seconds(99)
            #expect(last < .seconds(4), "seed \(seed): \(last)")
            #expect(quality.falseAccusationCount == 0)
        }
    }

    @Test func `resets of streams between the living accuse nobody`() throws {
        let resets = (0..<10).map {
            #"{"at":"\#(20 + $0)s","for":"0s","reset":{"from":"*","to":"*"}}"#
        }
        let quality = try times(resets.joined(separator: ","), nodes: 6, seed: 3)
        #expect(quality.deathCount == 0)
    }
}
