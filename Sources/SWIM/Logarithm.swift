/// Logarithms that are the same on every machine.
///
/// libm's differ in the last bit between platforms and versions, which would end the
/// reproducibility of simulated runs; timeouts need three digits.
enum Logarithm {
    /// log2 of a number of at least 1, to about twelve digits, by squaring.
    static func base2(_ value: Double) -> Double {
        precondition(value >= 1, "only for counts")
        var mantissa = value
        var result = 0.0
        while mantissa >= 2 {
            mantissa /= 2
            result += 1
        }
        var bit = 0.5
        for _ in 0..<40 {
            mantissa *= mantissa
            if mantissa >= 2 {
                mantissa /= 2
                result += bit
            }
            bit /= 2
        }
        return result
    }

    static func base10(_ value: Double) -> Double {
        base2(value) / 3.321928094887362
    }

    /// log(value) / log(base).
    static func ratio(_ value: Double, _ base: Double) -> Double {
        base2(value) / base2(base)
    }
}
