/// The values of llama.cpp's `--tensor-split`: one per device, adding up to exactly 1 as printed.
package struct TensorSplit: Equatable, Sendable {
    /// The values as multiples of 10^-decimals.
    package let parts: [Int]
    package let decimals: Int

    init(parts: [Int], decimals: Int) {
        self.parts = parts
        self.decimals = decimals
    }

    /// Values that make llama.cpp end each device's units where wished.
    ///
    /// Unit i goes to the first device whose cumulative share exceeds i / unitCount, computed with
    /// 32-bit floats. A share that ends half a unit before the boundary is as far as can be from
    /// both neighbours, so neither the decimals nor the floats decide.
    init(unitEnds: [Int]) {
        let unitCount = unitEnds.last ?? 1
        // Half a unit must stay far more than the last decimal.
        decimals = unitCount < 100 ? 3 : 4
        let scale = decimals == 3 ? 1000 : 10000
        var parts: [Int] = []
        var previous = 0
        for end in unitEnds {
            let cumulative =
                switch end {
                case 0: 0
                case unitCount: scale
                default: ((2 * end - 1) * scale + unitCount) / (2 * unitCount)
                }
            parts.append(cumulative - previous)
            previous = cumulative
        }
        self.parts = parts
    }

    /// What the parts add up to.
    package var scale: Int { decimals == 2 ? 100 : decimals == 3 ? 1000 : 10000 }

    /// Each device's share; for arithmetic, not for the command line.
    package var values: [Double] { parts.map { Double($0) / Double(scale) } }

    /// Where each device's units end when llama.cpp is given these values (`load_tensors`).
    package func unitEnds(unitCount: Int) -> [Int] {
        var sum: Float = 0
        var shares: [Float] = []
        for part in parts {
            // One correctly rounded division: the float that parsing the decimals gives.
            sum += Float(part) / Float(scale)
            shares.append(sum)
        }
        shares = shares.map { $0 / sum }
        return shares.indices.map { device in
            (0..<unitCount).count { unit in
                let position = Float(unit) / Float(unitCount)
                let holder = shares.firstIndex { $0 > position } ?? shares.count
                return holder <= device
            }
        }
    }
}

extension TensorSplit: CustomStringConvertible {
    /// As on the command line: `0.34,0.33,0.33`.
    package var description: String {
        parts.map { part in
            let digits = String(part % scale)
            let zeros = String(repeating: "0", count: decimals - digits.count)
            return "\(part / scale).\(zeros)\(digits)"
        }.joined(separator: ",")
    }
}
