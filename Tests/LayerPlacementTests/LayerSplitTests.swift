import LayerPlacement
import Primitives
import Testing

/// What llama.cpp does with `--tensor-split`, from the text of the command line on (`load_tensors`).
func llamaUnitCounts(_ tensorSplit: String, unitCount: Int) -> [Int] {
    var splits = tensorSplit.split(separator: ",").map { Float($0) ?? .nan }
    var sum: Float = 0
    for index in splits.indices {
        sum += splits[index]
        splits[index] = sum
    }
    for index in splits.indices { splits[index] /= sum }
    var counts = Array(repeating: 0, count: splits.count)
    for unit in 0..<unitCount {
        // std::upper_bound: the first that is greater.
        let position = Float(unit) / Float(unitCount)
        if let device = splits.firstIndex(where: { position < $0 }) { counts[device] += 1 }
    }
    return counts
}

private func gibibytes(_ counts: [UInt64]) -> [ByteCount] {
    counts.map { ByteCount($0 << 30) }
}

private func unitCounts(_ split: LayerSplit) -> [Int] {
    split.ranges.map(\.units.count)
}

struct LayerSplitTests {
    @Test(
        arguments: [
            // The examples of the reference, and of llama.cpp as measured.
            ([4, 4], 24, "0.50,0.50", [13, 12]),
            ([3, 3, 3], 24, "0.34,0.33,0.33", [9, 8, 8]),
            ([52, 48], 24, "0.52,0.48", [13, 12]),
            ([3, 1], 24, "0.75,0.25", [19, 6]),
            ([8], 24, "1.00", [25]),
            ([16], 1, "1.00", [2]),
            ([2, 2, 2, 2], 7, "0.25,0.25,0.25,0.25", [2, 2, 2, 2]),
        ] as [([UInt64], Int, String, [Int])]
    )
    func `memory in proportion`(
        memory: [UInt64],
        layerCount: Int,
        tensorSplit: String,
        counts: [Int]
    ) throws {
        let split = try LayerSplit(availableMemory: gibibytes(memory), layerCount: layerCount)
        #expect("\(split.fractions)" == tensorSplit)
        #expect("\(split.tensorSplit)" == tensorSplit)
        #expect(unitCounts(split) == counts)
    }

    @Test func `the simulated rule is the one that was measured`() {
        #expect(llamaUnitCounts("0.5,0.5", unitCount: 25) == [13, 12])
        #expect(llamaUnitCounts("3,1", unitCount: 25) == [19, 6])
        #expect(llamaUnitCounts("0.34,0.33,0.33", unitCount: 25) == [9, 8, 8])
        #expect(llamaUnitCounts("0.7,0.3", unitCount: 9) == [7, 2])
    }

    @Test func `values get finer where two decimals would move a layer`() throws {
        let split = try LayerSplit(availableMemory: gibibytes([4, 2, 1]), layerCount: 24)
        #expect("\(split.fractions)" == "0.57,0.29,0.14")
        #expect("\(split.tensorSplit)" == "0.540,0.280,0.180")
        #expect(unitCounts(split) == [14, 7, 4])
    }

    @Test func `a small device gets one unit`() throws {
        let split = try LayerSplit(availableMemory: gibibytes([300, 1, 0]), layerCount: 10)
        #expect(unitCounts(split) == [9, 1, 1])
        #expect("\(split.fractions)" == "1.00,0.00,0.00")
        #expect(llamaUnitCounts("\(split.tensorSplit)", unitCount: 11) == [9, 1, 1])
    }

    @Test func `with fewer units than devices the largest get them`() throws {
        let split = try LayerSplit(availableMemory: gibibytes([1, 9, 2, 8]), layerCount: 1)
        #expect(unitCounts(split) == [0, 1, 0, 1])
        #expect(llamaUnitCounts("\(split.tensorSplit)", unitCount: 2) == [0, 1, 0, 1])
        #expect(split.ranges[1].layers == 0..<1)
        #expect(split.ranges[3].layers.isEmpty)
        #expect(split.ranges[3].holdsOutput)
        #expect(split.ranges.map(\.description) == ["0..<0", "0..<1", "1..<1", "output"])
    }

    @Test func `impossible requests are refused with their numbers`() {
        let one = [ByteCount(1)]
        #expect(throws: LayerSplitError.noDevices) {
            try LayerSplit(availableMemory: [], layerCount: 24)
        }
        #expect(throws: LayerSplitError.tooManyDevices(count: 17, limit: 16)) {
            try LayerSplit(availableMemory: Array(repeating: one[0], count: 17), layerCount: 24)
        }
        for layerCount in [0, -1, 513, .max] {
            #expect(throws: LayerSplitError.layerCountOutOfRange(layerCount, limit: 512)) {
                try LayerSplit(availableMemory: one, layerCount: layerCount)
            }
        }
        #expect(throws: LayerSplitError.noMemory) {
            try LayerSplit(availableMemory: [.zero, .zero], layerCount: 24)
        }
    }

    @Test(arguments: 0..<16 as Range<UInt64>)
    func `any split is what llama.cpp makes of its values`(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        for _ in 0..<60 {
            let deviceCount = 1 + generator.below(16)
            let layerCount = 1 + generator.below(generator.below(8) == 0 ? 512 : 200)
            let spread = generator.below(3)
            let memory = (0..<deviceCount).map { _ in
                switch spread {
                case 0: ByteCount(1 + UInt64(generator.below(1 << 36)))
                case 1: ByteCount(1 << generator.below(63))
                default: ByteCount(UInt64(1 + generator.below(4)) << 30)
                }
            }
            let split = try LayerSplit(availableMemory: memory, layerCount: layerCount)
            check(split, memory: memory, layerCount: layerCount)
            checkProportion(split, memory: memory)
        }
    }

    private func checkProportion(_ split: LayerSplit, memory: [ByteCount]) {
        let unitCount = split.ranges.reduce(0) { $0 + $1.units.count }
        let sum = memory.reduce(0.0) { $0 + Double($1.bytes) }
        let quotas = memory.map { Double($0.bytes) / sum * Double(unitCount) }
        if unitCount >= memory.count {
            #expect(split.ranges.allSatisfy { !$0.units.isEmpty })
        }
        // Where a device would get none, others give up more than a rounding.
        guard quotas.allSatisfy({ $0 >= 1 }) || unitCount < memory.count else { return }
        for (range, quota) in zip(split.ranges, quotas) {
            #expect(abs(Double(range.units.count) - quota) < 1.000001)
        }
    }
}

/// What holds for every split.
func check(_ split: LayerSplit, memory: [ByteCount], layerCount: Int) {
    let unitCount = layerCount + 1
    #expect(split.ranges.count == memory.count)
    var next = 0
    for range in split.ranges {
        #expect(range.units.lowerBound == next)
        next = range.units.upperBound
    }
    #expect(next == unitCount)
    #expect(
        llamaUnitCounts("\(split.tensorSplit)", unitCount: unitCount) == unitCounts(split)
    )
    for values in [split.fractions, split.tensorSplit] {
        #expect(values.parts.reduce(0, +) == values.scale)
        #expect(values.parts.allSatisfy { $0 >= 0 })
        #expect(abs(values.values.reduce(0, +) - 1) < 1e-9)
        let texts = "\(values)".split(separator: ",")
        #expect(texts.count == memory.count)
        // As printed: the digits alone add up to a power of ten.
        let digits = texts.compactMap { Int($0.filter { $0 != "." }) }
        #expect(digits == values.parts)
        #expect(texts.allSatisfy { $0.count == values.decimals + 2 })
    }
}
