import Primitives
import Testing

struct DeviceConditionTests {
    @Test(arguments: [
        (0, 0), (59, 0), (60, 1), (179, 1), (180, 2), (419, 2), (420, 3), (86_400, 10),
        (-5, 0),
    ])
    func `uptime goes in steps that double`(seconds: Int, step: UInt8) {
        #expect(UptimeStep(of: .seconds(seconds)) == UptimeStep(step))
    }

    @Test(arguments: 0..<UInt8(26))
    func `a step begins at its shortest uptime`(step: UInt8) {
        let begin = UptimeStep(step).atLeast
        #expect(UptimeStep(of: begin) == UptimeStep(step))
        if step > 0 {
            #expect(UptimeStep(of: begin - .seconds(1)) == UptimeStep(step - 1))
        }
    }

    @Test func `no step of the wire breaks the arithmetic`() {
        for raw in UInt8.min...UInt8.max { #expect(UptimeStep(raw).atLeast >= .zero) }
        #expect(UptimeStep(3) < UptimeStep(4))
    }

    @Test func `values that stand for unknown are unknown`() {
        let condition = DeviceCondition(temperature: 0, rpcVersion: ThreePartVersion(0, 0, 0))
        #expect(condition == DeviceCondition())
    }

    @Test func `only a device that is plugged in lasts`() {
        #expect(PowerSource.mains.isLasting && PowerSource.charging(5).isLasting)
        #expect(!PowerSource.battery(100).isLasting && !PowerSource.unknown.isLasting)
    }

    @Test func `a node's tag is its first digits`() throws {
        let node = try #require(NodeID("a0a1a2a3a4a5a6a7a8a9aaabacadaeaf"))
        #expect(node.tag == 0xA0A1_A2A3)
        #expect(node.short == "a0a1a2a3")
    }
}
