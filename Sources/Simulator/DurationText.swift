import Primitives

extension Duration {
    private static let units: [(name: String, nanoseconds: Int64)] = [
        ("ns", 1), ("us", 1000), ("ms", 1_000_000), ("s", 1_000_000_000), ("m", 60_000_000_000),
        ("h", 3_600_000_000_000),
    ]

    /// The longest that a file can say: three years.
    static let scenarioLimit: Duration = .nanoseconds(100_000_000_000_000_000)

    /// Reads `250ms`, `1.5s`, `10m`, `1h`; nil for anything else, negative ones included.
    ///
    /// Whole numbers are read exactly; others are rounded to nanoseconds.
    package init?(scenarioText text: String) {
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = text.dropFirst(number.count)
        guard let size = Self.units.first(where: { $0.name == unit })?.nanoseconds else {
            return nil
        }
        let limit = Self.scenarioLimit.wholeNanoseconds
        if let whole = Int64(String(number)) {
            guard whole <= limit / size else { return nil }
            self = .nanoseconds(whole * size)
        } else {
            guard let value = Double(String(number)), value >= 0,
                value * Double(size) <= Double(limit)
            else { return nil }
            self = .nanoseconds(Int64((value * Double(size)).rounded()))
        }
    }

    /// The shortest text that reads as this duration again.
    package var scenarioText: String {
        let nanoseconds = wholeNanoseconds
        for unit in Self.units.reversed() where unit.nanoseconds <= 1_000_000_000 {
            if nanoseconds % unit.nanoseconds == 0 {
                return "\(nanoseconds / unit.nanoseconds)\(unit.name)"
            }
        }
        return "\(nanoseconds)ns"
    }
}
