import Primitives
import Testing

@testable import Agent

/// When a device speaks of itself again.
struct FactsDamperTests {
    private static func facts(
        available: UInt64 = 500,
        power: PowerSource = .battery(50),
        temperature: UInt8? = 40,
        models: [UInt64] = [],
        uptime: UInt8 = 0
    ) -> DeviceFacts {
        DeviceFacts(
            name: "n",
            memoryTotal: ByteCount(1000),
            memoryAvailable: ByteCount(available),
            models: models,
            condition: DeviceCondition(
                power: power,
                temperature: temperature,
                uptime: UptimeStep(uptime)
            )
        )
    }

    /// What the damper tells of measurements at given seconds, the first one being told.
    private func told(_ measurements: [(Int, DeviceFacts)]) -> [Bool] {
        var damper = FactsDamper()
        return measurements.map { second, facts in
            damper.measured(facts, at: .origin + .seconds(second)) != nil
        }
    }

    @Test func `the first facts are told, the same ones never again`() {
        let facts = Self.facts()
        #expect(told([(0, facts), (10, facts), (1000, facts)]) == [true, false, false])
    }

    @Test(arguments: [
        facts(available: 549), facts(available: 451), facts(power: .battery(46)),
        facts(temperature: 49),
    ])
    func `small movements are not told`(facts: DeviceFacts) {
        #expect(told([(0, Self.facts()), (1000, facts)]) == [true, false])
    }

    @Test(arguments: [
        facts(available: 550), facts(available: 450), facts(power: .battery(45)),
        facts(temperature: 50), facts(temperature: nil),
    ])
    func `large movements are told, but not at once`(facts: DeviceFacts) {
        #expect(told([(0, Self.facts()), (29, facts), (30, facts)]) == [true, false, true])
    }

    @Test(arguments: [facts(power: .charging(50)), facts(models: [7]), facts(power: .mains)])
    func `what others decide by is told at once`(facts: DeviceFacts) {
        #expect(told([(0, Self.facts()), (1, facts)]) == [true, true])
    }

    @Test func `a slow drift is told when it has gone far enough`() {
        let drift = (0...10).map { (100 * $0, Self.facts(power: .battery(UInt8(50 - $0)))) }
        let expected = (0...10).map { $0 % 5 == 0 }
        #expect(told(drift) == expected)
    }

    @Test func `uptime is told at every other doubling, or along with other news`() {
        let alone = (0...6).map { (60 << $0, Self.facts(uptime: UInt8($0))) }
        #expect(told(alone) == [true, false, true, false, true, false, true])
        let along: [(Int, DeviceFacts)] = [
            (0, Self.facts()), (60, Self.facts(models: [7], uptime: 1)),
            (180, Self.facts(models: [7], uptime: 2)), (420, Self.facts(models: [7], uptime: 3)),
        ]
        #expect(told(along) == [true, true, false, true])
    }

    @Test func `what is told is what was measured`() {
        var damper = FactsDamper()
        _ = damper.measured(Self.facts(), at: .origin)
        let news = Self.facts(available: 505, temperature: 41, models: [1])
        #expect(damper.measured(news, at: .origin + .seconds(1)) == news)
        #expect(damper.told == news)
    }
}
