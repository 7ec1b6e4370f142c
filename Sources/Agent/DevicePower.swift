import Primitives

/// What this device lives on, as the system tells it.
enum DevicePower {
    private static let folder = "/sys/class/power_supply"
    /// How many supplies are looked at.
    private static let supplyLimit = 32

    /// Reads the system's power supplies.
    ///
    /// Unrooted Android often keeps them to itself; then it is unknown. A system that lists none
    /// has no battery: a server or a virtual machine.
    static func read(_ files: some SystemFiles) -> PowerSource {
        guard let names = files.names(in: folder) else { return .unknown }
        let supplies = names.prefix(supplyLimit).compactMap { name in
            PowerSupply(files, at: "\(folder)/\(name)")
        }
        guard !supplies.isEmpty || names.isEmpty else { return .unknown }
        return source(of: supplies)
    }

    static func source(of supplies: [PowerSupply]) -> PowerSource {
        let isPluggedIn = supplies.contains { $0 == .line(isOnline: true) }
        var charges: [Int] = []
        var isDraining = false
        var isCharging = false
        for case .battery(let charge, let flow) in supplies {
            if let charge { charges.append(charge) }
            switch flow {
            case .drains: isDraining = true
            case .charges: isCharging = true
            case .unknown: break
            }
        }
        let hasBattery = supplies.contains { if case .battery = $0 { true } else { false } }
        guard hasBattery else { return .mains }
        let sum = charges.reduce(0, +)
        let percent = UInt8(clamping: charges.isEmpty ? 0 : sum / charges.count)
        // A charger that is too weak is no mains: the device runs empty with it, too.
        if isDraining && !isCharging { return .battery(percent) }
        return isCharging || isPluggedIn ? .charging(percent) : .battery(percent)
    }
}

/// One of the system's power supplies.
enum PowerSupply: Equatable, Sendable {
    /// Mains, USB, wireless: something from outside.
    case line(isOnline: Bool)
    /// In percent, if it tells.
    case battery(charge: Int?, Flow)

    enum Flow: Equatable, Sendable {
        case charges
        case drains
        case unknown
    }

    /// Nil for what does not feed the device: a mouse's battery, a gauge without a battery.
    init?(_ files: some SystemFiles, at path: String) {
        if files.line("\(path)/scope") == "Device" { return nil }
        switch files.line("\(path)/type") {
        case "Mains", "USB", "USB_DCP", "USB_CDP", "USB_C", "USB_PD", "USB_PD_DRP", "Wireless":
            self = .line(isOnline: files.number("\(path)/online") ?? 0 > 0)
        case "Battery", "UPS":
            if files.number("\(path)/present") == 0 { return nil }
            let charge = files.number("\(path)/capacity").map { max(0, min(100, $0)) }
            switch files.line("\(path)/status") {
            // "Not charging": plugged in and spared.
            case "Charging", "Full", "Not charging": self = .battery(charge: charge, .charges)
            case "Discharging": self = .battery(charge: charge, .drains)
            default: self = .battery(charge: charge, .unknown)
            }
        default: return nil
        }
    }
}
