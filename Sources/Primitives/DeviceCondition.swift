/// What a device is made of and how it is doing, as far as its system tells.
package struct DeviceCondition: Hashable, Sendable {
    /// How many bytes of UTF-8 the names of accelerators may have, all together.
    package static let acceleratorsByteLimit = 47

    /// How many threads its processors run at a time; 0 if unknown.
    package var threadCount: UInt16
    package var power: PowerSource
    /// Of its hottest thermal zone, in °C; nil if unknown.
    package var temperature: UInt8?
    /// Whether its processors run slower than they could, because it is too hot.
    package var isThrottled: Bool
    package var uptime: UptimeStep
    /// What llama.cpp can use beside the processors: `CUDA0 NVIDIA GeForce RTX 3060, …`.
    package private(set) var accelerators: String
    /// Which version of llama.cpp's RPC protocol its engine speaks; nil if unknown.
    package var rpcVersion: ThreePartVersion?

    package init(
        threadCount: UInt16 = 0,
        power: PowerSource = .unknown,
        temperature: UInt8? = nil,
        isThrottled: Bool = false,
        uptime: UptimeStep = UptimeStep(0),
        accelerators: String = "",
        rpcVersion: ThreePartVersion? = nil
    ) {
        self.threadCount = threadCount
        self.power = power
        // On the wire 0 stands for "unknown", and no device that computes is as cold.
        self.temperature = temperature == 0 ? nil : temperature
        self.isThrottled = isThrottled
        self.uptime = uptime
        self.accelerators = accelerators.cut(toByteCount: Self.acceleratorsByteLimit)
        self.rpcVersion = rpcVersion == ThreePartVersion(0, 0, 0) ? nil : rpcVersion
    }
}

/// What a device lives on.
package enum PowerSource: Hashable, Sendable {
    case unknown
    /// It has no battery.
    case mains
    /// It has a battery and is plugged in; in percent.
    case charging(UInt8)
    /// It lives on what is left in its battery, in percent.
    case battery(UInt8)

    /// Whether it does not run empty as things are; false if unknown.
    package var isLasting: Bool {
        switch self {
        case .mains, .charging: true
        case .battery, .unknown: false
        }
    }
}

/// How long an agent has been running, in steps that double: step n begins after 2^n − 1 minutes.
///
/// Coarse, so that a device does not have news every second. No point in time travels, because
/// the calendars of two devices need not agree.
package struct UptimeStep: Hashable, Comparable, Sendable {
    package let rawValue: UInt8

    package init(_ rawValue: UInt8) {
        self.rawValue = rawValue
    }

    package init(of uptime: Duration) {
        let minutes = UInt64(max(0, uptime.wholeNanoseconds / 60_000_000_000))
        rawValue = UInt8(63 - (minutes + 1).leadingZeroBitCount)
    }

    /// The shortest uptime of the step.
    package var atLeast: Duration {
        // Past any life of a device the steps mean nothing any more.
        .seconds(60 * ((Int64(1) << Int64(min(rawValue, 40))) - 1))
    }

    package static func < (left: Self, right: Self) -> Bool {
        left.rawValue < right.rawValue
    }
}

package struct ThreePartVersion: Hashable, Sendable, CustomStringConvertible {
    package var major: UInt8
    package var minor: UInt8
    package var patch: UInt8

    package init(_ major: UInt8, _ minor: UInt8, _ patch: UInt8) {
        self.major = major
        self.minor = minor
        self.patch = patch
    }

    package var description: String { "\(major).\(minor).\(patch)" }
}
