import Primitives
@testable import Simulator
import Testing

struct SimulatedNetworkTests {
    private static func network(
        quietFrom: Int64 = .max,
        _ change: (inout LinkSettings) -> Void = { _ in }
    ) -> SimulatedNetwork {
        var settings = LinkSettings()
        settings.latency = .init(
            minimum: .milliseconds(5),
            mean: .milliseconds(5),
            distribution: .constant
        )
        change(&settings)
        return SimulatedNetwork(
            nodeCount: 3,
            settings: settings,
            quietFrom: quietFrom,
            generator: SeededGenerator(seed: 1)
        )
    }

    private func arrival(
        _ network: inout SimulatedNetwork,
        _ from: Int,
        _ to: Int,
        byteCount: Int = 100,
        at now: Int64
    ) -> Int64? {
        let fate = network.fate(from: from, to: to, byteCount: byteCount, at: now)
        guard case .arrives(let delay, _, _) = fate else { return nil }
        return now + delay
    }

    @Test func `what was sent long before the network is quiet does not arrive long after`() {
        var network = Self.network(quietFrom: 10_000_000_000)
        network.slow(0, by: 1000)
        #expect(arrival(&network, 0, 1, at: 5_900_000_000) == 10_900_000_000)
        #expect(arrival(&network, 0, 1, at: 6_100_000_000) == nil, "1.1 s after")
        #expect(arrival(&network, 0, 1, at: 9_999_999_999) == nil)
        #expect(arrival(&network, 0, 1, at: 10_000_000_000) == 15_000_000_000, "slow for ever")
        #expect(arrival(&network, 1, 0, at: 9_999_999_999) == 10_004_999_999)
    }

    @Test func `what is jammed comes after the end, and other links are free`() {
        var network = Self.network()
        network.jam(7, from: [0], to: [1], until: 1_000_000_000)
        #expect(arrival(&network, 0, 1, at: 0) == 1_005_000_000)
        #expect(arrival(&network, 0, 1, at: 900_000_000) == 1_005_000_000)
        #expect(arrival(&network, 1, 0, at: 0) == 5_000_000)
        network.endJam(7)
        #expect(arrival(&network, 0, 1, at: 1_000_000_000) == 1_005_000_000)
    }

    @Test func `a link with a capacity sends one after the other, and drops at the tail`() {
        var network = Self.network { $0.capacity = 1000 }
        // 100 bytes and their headers take 128 ms.
        #expect(arrival(&network, 0, 1, at: 0) == 133_000_000)
        #expect(arrival(&network, 0, 1, at: 0) == 261_000_000)
        #expect(arrival(&network, 1, 0, at: 0) == 133_000_000)
        // 60,028 bytes more wait, and then 65,536 are not far.
        #expect(arrival(&network, 0, 1, byteCount: 60_000, at: 0) == 60_289_000_000)
        #expect(arrival(&network, 0, 1, byteCount: 9_000, at: 0) != nil)
        #expect(arrival(&network, 0, 1, at: 0) == nil)
        // A minute later the queue is short again.
        #expect(arrival(&network, 0, 1, at: 60_000_000_000) != nil)
    }

    @Test func `only what a slow node sends takes longer, until the fault ends`() {
        var network = Self.network()
        network.slow(0, by: 10)
        network.slow(0, by: 3)
        #expect(arrival(&network, 0, 1, at: 0) == 150_000_000)
        #expect(arrival(&network, 1, 0, at: 0) == 5_000_000)
        network.endSlow(0, by: 10)
        network.endSlow(0, by: 3)
        #expect(arrival(&network, 0, 1, at: 0) == 5_000_000)
    }

    @Test func `a clock that jumps makes timers due`() {
        var clock = SimulatedClock()
        clock.change(rate: 2, at: 100)
        clock.jump(by: 1000)
        #expect(clock.read(200) == 1300)
        #expect(clock.wait(until: 1200, from: 200) == 0)
    }
}
