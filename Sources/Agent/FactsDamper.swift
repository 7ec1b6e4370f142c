import Primitives

/// Decides when what a device says of itself is told again: gossip is not a gauge.
///
/// What others decide by at once (a model that came, a charger that was pulled) is told at once;
/// memory, charge and temperature only when they have moved for real, and seldom; uptime, which
/// only says who has been there for longer, at every other of its doublings, or along with others.
struct FactsDamper {
    /// How often values that always move are told at most.
    static let gaugeInterval: Duration = .seconds(30)
    /// Which part of its total available memory must have changed by.
    static let memorySteps = 20.0
    static let chargeStep = 5
    static let temperatureStep = 10
    static let uptimeStep: UInt8 = 2

    private(set) var told: DeviceFacts?
    private var toldAt = Instant.origin

    /// - Returns: what is to be told, or nil while what was told last is near enough.
    mutating func measured(_ facts: DeviceFacts, at now: Instant) -> DeviceFacts? {
        if let told {
            var settled = facts
            settled.memoryAvailable = told.memoryAvailable
            settled.condition.temperature = told.condition.temperature
            if facts.condition.uptime.rawValue < told.condition.uptime.rawValue + Self.uptimeStep {
                settled.condition.uptime = told.condition.uptime
            }
            settled.condition.power = facts.condition.power.withCharge(of: told.condition.power)
            let isDue = now - toldAt >= Self.gaugeInterval && Self.hasMoved(facts, since: told)
            guard settled != told || isDue else { return nil }
        }
        told = facts
        toldAt = now
        return facts
    }

    private static func hasMoved(_ facts: DeviceFacts, since told: DeviceFacts) -> Bool {
        let memory = abs(
            Double(facts.memoryAvailable.bytes) - Double(told.memoryAvailable.bytes)
        )
        if memory > 0, memory * memorySteps >= Double(facts.memoryTotal.bytes) { return true }
        let charges = (facts.condition.power.charge, told.condition.power.charge)
        if let new = charges.0, let old = charges.1, abs(Int(new) - Int(old)) >= chargeStep {
            return true
        }
        switch (facts.condition.temperature, told.condition.temperature) {
        case (let new?, let old?): return abs(Int(new) - Int(old)) >= temperatureStep
        case (nil, nil): return false
        case (_?, nil), (nil, _?): return true
        }
    }
}

extension PowerSource {
    /// In percent; nil without a battery.
    var charge: UInt8? {
        switch self {
        case .unknown, .mains: nil
        case .charging(let percent), .battery(let percent): percent
        }
    }

    /// The same kind of source, as full as another of its kind.
    fileprivate func withCharge(of other: PowerSource) -> PowerSource {
        switch (self, other) {
        case (.charging, .charging), (.battery, .battery): other
        default: self
        }
    }
}
