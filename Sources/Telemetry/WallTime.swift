import CPosix
import Primitives

/// A moment of the calendar: nanoseconds since 1970-01-01T00:00:00Z, in the years 1677 to 2262.
package struct WallTime: Hashable, Comparable, Sendable {
    package let nanoseconds: Int64

    package init(nanoseconds: Int64) {
        self.nanoseconds = nanoseconds
    }

    package static var now: WallTime {
        WallTime(nanoseconds: telemetry_wall_nanoseconds())
    }

    package static func < (left: Self, right: Self) -> Bool {
        left.nanoseconds < right.nanoseconds
    }

    /// The same moment as a local clock shows it, by the machine's time zone.
    var shiftedToLocal: WallTime {
        let seconds = nanoseconds / 1_000_000_000
        return WallTime(
            nanoseconds: nanoseconds &+ telemetry_local_offset(seconds) &* 1_000_000_000
        )
    }
}

extension Instant {
    /// The monotonic clock, for the threads of this module, which have no loop to ask.
    static var monotonic: Instant {
        Instant(nanoseconds: telemetry_monotonic_nanoseconds())
    }
}

/// A date and a time of day in the proleptic Gregorian calendar.
struct CivilTime: Equatable {
    var year = 1970
    var month = 1
    var day = 1
    var hour = 0
    var minute = 0
    var second = 0
    var nanosecond = 0
}

extension CivilTime {
    /// Days to year, month and day in eras of 400 years that begin on 1 March (Howard Hinnant,
    /// "chrono-Compatible Low-Level Date Algorithms", `civil_from_days`).
    init(_ time: WallTime) {
        let seconds = Self.floorDivide(Int(time.nanoseconds), 1_000_000_000)
        let days = Self.floorDivide(seconds, 86_400)
        let secondOfDay = seconds - days * 86_400
        nanosecond = Int(time.nanoseconds) - seconds * 1_000_000_000
        hour = secondOfDay / 3600
        minute = secondOfDay / 60 % 60
        second = secondOfDay % 60

        let shifted = days + 719_468
        let era = Self.floorDivide(shifted, 146_097)
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let marchMonth = (5 * dayOfYear + 2) / 153
        day = dayOfYear - (153 * marchMonth + 2) / 5 + 1
        month = marchMonth < 10 ? marchMonth + 3 : marchMonth - 9
        year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0)
    }

    /// Days since 1970-01-01 (`days_from_civil`, as above).
    private var days: Int {
        let marchYear = month <= 2 ? year - 1 : year
        let era = Self.floorDivide(marchYear, 400)
        let yearOfEra = marchYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear
            - 719_468
    }

    /// The moment in UTC; nil outside the years that `WallTime` can hold.
    var wallTime: WallTime? {
        guard (1678...2261).contains(year) else { return nil }
        let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second
        return WallTime(nanoseconds: Int64(seconds) * 1_000_000_000 + Int64(nanosecond))
    }

    private static func floorDivide(_ value: Int, _ divisor: Int) -> Int {
        value >= 0 ? value / divisor : (value - divisor + 1) / divisor
    }
}

extension WallTime {
    /// Reads `2026-11-23T19:54:03.123456Z`, with zero to nine decimals; nil for anything else.
    package init?(rfc3339 text: String) {
        var civil = CivilTime()
        var bytes = text.utf8[...]
        func number(_ digits: Int, then mark: Unicode.Scalar?) -> Int? {
            guard bytes.count >= digits + (mark == nil ? 0 : 1) else { return nil }
            var value = 0
            for byte in bytes.prefix(digits) {
                guard (0x30...0x39).contains(byte) else { return nil }
                value = value * 10 + Int(byte - 0x30)
            }
            bytes = bytes.dropFirst(digits)
            if let mark {
                guard bytes.first.map(Unicode.Scalar.init) == mark else { return nil }
                bytes = bytes.dropFirst()
            }
            return value
        }
        guard let year = number(4, then: "-"), let month = number(2, then: "-"),
            let day = number(2, then: "T"), let hour = number(2, then: ":"),
            let minute = number(2, then: ":"), let second = number(2, then: nil),
            (1...12).contains(month), (1...31).contains(day), hour < 24, minute < 60, second <= 60
        else { return nil }
        (civil.year, civil.month, civil.day) = (year, month, day)
        (civil.hour, civil.minute, civil.second) = (hour, minute, second)
        if bytes.first == UInt8(ascii: ".") {
            let decimals = bytes.dropFirst().prefix { (0x30...0x39).contains($0) }.count
            bytes = bytes.dropFirst()
            guard (1...9).contains(decimals), let value = number(decimals, then: nil) else {
                return nil
            }
            civil.nanosecond = (decimals..<9).reduce(value) { scaled, _ in scaled * 10 }
        }
        guard bytes.elementsEqual("Z".utf8), let time = civil.wallTime else { return nil }
        self = time
    }
}

extension [UInt8] {
    /// Appends `2026-11-23T19:54:03.123456Z`.
    mutating func append(rfc3339 time: WallTime) {
        let civil = CivilTime(time)
        append(date: civil)
        append(UInt8(ascii: "T"))
        append(clock: civil)
        append(UInt8(ascii: "."))
        append(civil.nanosecond / 1000, digits: 6)
        append(UInt8(ascii: "Z"))
    }

    /// Appends `2026-11-23`.
    mutating func append(date civil: CivilTime) {
        append(civil.year, digits: 4)
        append(UInt8(ascii: "-"))
        append(civil.month, digits: 2)
        append(UInt8(ascii: "-"))
        append(civil.day, digits: 2)
    }

    /// Appends `19:54:03`.
    mutating func append(clock civil: CivilTime) {
        append(civil.hour, digits: 2)
        append(UInt8(ascii: ":"))
        append(civil.minute, digits: 2)
        append(UInt8(ascii: ":"))
        append(civil.second, digits: 2)
    }

    /// Appends a number that is not negative, with leading zeros.
    mutating func append(_ value: Int, digits: Int) {
        var divisor = (1..<digits).reduce(1) { product, _ in product * 10 }
        while divisor > 0 {
            append(UInt8(ascii: "0") + UInt8(value / divisor % 10))
            divisor /= 10
        }
    }
}
