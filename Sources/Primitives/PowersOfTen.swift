extension UInt64 {
    /// Whether it is 1, 10, 100 …: how often something is told that happens again and again.
    package var isPowerOfTen: Bool {
        var power: UInt64 = 1
        while power < self {
            let (next, overflow) = power.multipliedReportingOverflow(by: 10)
            if overflow { return false }
            power = next
        }
        return power == self
    }
}
