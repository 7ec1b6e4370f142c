/// How hot this device is, as the system tells it.
struct DeviceHeat: Equatable, Sendable {
    /// Of the hottest zone, in °C; nil if the system does not tell.
    var temperature: UInt8?
    /// Whether the system slows its processors down because of it.
    var isThrottled: Bool

    private static let folder = "/sys/class/thermal"
    /// How many zones and coolers are looked at; some phones have a hundred.
    private static let entryLimit = 256

    init(_ files: some SystemFiles) {
        temperature = nil
        isThrottled = false
        for name in (files.names(in: Self.folder) ?? []).prefix(Self.entryLimit) {
            let path = "\(Self.folder)/\(name)"
            if name.hasPrefix("thermal_zone") {
                guard let number = files.number("\(path)/temp"),
                    let degrees = Self.degrees(number)
                else { continue }
                temperature = max(temperature ?? 0, degrees)
            } else if name.hasPrefix("cooling_device") {
                guard let type = files.line("\(path)/type"), Self.slowsProcessors(type) else {
                    continue
                }
                if files.number("\(path)/cur_state") ?? 0 > 0 { isThrottled = true }
            }
        }
    }

    /// A zone's number in °C.
    ///
    /// The kernel says thousandths; some phones' drivers say tenths or whole degrees. Zones that
    /// are switched off say something absurd, which is nil.
    static func degrees(_ number: Int) -> UInt8? {
        let degrees =
            switch number {
            case 1000...: number / 1000
            case 150..<1000: number / 10
            default: number
            }
        return (1..<150).contains(degrees) ? UInt8(degrees) : nil
    }

    private static func slowsProcessors(_ type: String) -> Bool {
        type == "Processor" || type.contains("cpufreq") || type.hasPrefix("cpu-")
    }
}
