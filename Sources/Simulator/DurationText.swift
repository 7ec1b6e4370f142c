import Primitives

extension Duration {
    private static let units: [(name: String, nanoseconds: Double)] = [
        ("ns", 1), ("us", 1e3), ("ms", 1e6), ("s", 1e9), ("m", 60e9), ("h", 3600e9),
    ]

    /// Reads `250ms`, `1.5s`, `10m`, `1h`; nil for anything else, negative ones included.
    init?(scenarioText text: String) {
        let number = text.prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let unit = text.dropFirst(number.count)
        guard let value = Double(String(number)), value >= 0,
            let size = Self.units.first(where: { $0.name == unit })?.nanoseconds,
            value * size <= 1e17
        else { return nil }
        self = .nanoseconds(Int64((value * size).rounded()))
    }

    /// The shortest text that reads as this duration again.
    var scenarioText: String {
        let nanoseconds = wholeNanoseconds
        for unit in Self.units.reversed() where unit.nanoseconds <= 1e9 {
            let size = Int64(unit.nanoseconds)
            if nanoseconds % size == 0 { return "\(nanoseconds / size)\(unit.name)" }
        }
        return "\(nanoseconds)ns"
    }
}
