import GGUF
import LayerPlacement
import Primitives
import Testing

/// The facts of a random model, read from its header.
func facts(of shape: ModelShape) throws -> ModelFacts {
    struct HeaderDone: Error {}
    let model = try RandomModel(shape: shape)
    var bytes: [UInt8] = []
    do {
        try model.write { span throws(HeaderDone) in
            bytes += [UInt8](copying: span)
            if bytes.count > 1 << 20 { throw HeaderDone() }
        }
    } catch {
        // The header is what is wanted, and it comes first.
    }
    let file = try GGUFReader().readHeader(byteCount: model.byteCount) {
        offset,
        count throws(GGUFError) in
        let start = min(Int(offset), bytes.count)
        return [UInt8](bytes[start..<min(start + count, bytes.count)])
    }
    return try ModelFacts(file)
}

private func range(_ units: Range<Int>, of layerCount: Int) -> LayerRange {
    LayerRange(units: units, layerCount: layerCount)
}

private func mebibytes(_ count: ByteCount) -> Double {
    Double(count.bytes) / 1_048_576
}

struct MemoryEstimateTests {
    /// What llama-server 0.7.0 printed with `-lv 4` for the tiny model on three workers.
    @Test func `the tiny model is estimated as llama.cpp measured it`() throws {
        let demand = MemoryDemand(
            try facts(of: .tiny),
            settings: EngineMemorySettings(contextLength: 2048)
        )
        let measured: [(units: Range<Int>, model: Double, cache: Double, compute: Double)] = [
            (0..<4, 4.51, 4, 18.55), (4..<7, 3.38, 3, 14.04), (7..<9, 3.13, 1, 11.54),
        ]
        for device in measured {
            let estimate = demand.estimate(of: range(device.units, of: 8))
            #expect(abs(mebibytes(estimate.weights) - device.model) < 0.006)
            #expect(abs(mebibytes(estimate.cache) - device.cache) < 0.006)
            #expect(mebibytes(estimate.compute) > device.compute)
            #expect(mebibytes(estimate.compute) < device.compute * 1.3)
        }
    }

    /// Compute buffers of the first and a middle device, micro-batches of 512, context of 512.
    @Test(arguments: [
        (256, 512, 8, true, 12.55, 8.04), (256, 2048, 8, true, 22.05, 17.54),
        (256, 256, 8, true, 10.55, 6.04), (448, 896, 14, true, 20.43, 12.54),
        (64, 128, 2, true, 4.68, 3.54), (256, 512, 8, false, 22.54, 18.02),
        (448, 896, 14, false, 36.41, 28.52), (64, 128, 2, false, 8.66, 7.52),
    ])
    func `computing is never underestimated, and not by far overestimated`(
        width: Int,
        hidden: Int,
        heads: Int,
        flashAttention: Bool,
        first: Double,
        middle: Double
    ) throws {
        let shape = ModelShape(
            layerCount: 6,
            embeddingLength: width,
            headCount: heads,
            keyValueHeadCount: heads / 2,
            feedForwardLength: hidden,
            vocabularySize: 1024
        )
        let demand = MemoryDemand(
            try facts(of: shape),
            settings: EngineMemorySettings(
                contextLength: 512,
                usesFlashAttention: flashAttention
            )
        )
        let ours = [0..<3, 3..<5].map {
            mebibytes(demand.estimate(of: range($0, of: 6)).compute)
        }
        #expect(ours[0] > first && ours[0] < first * 1.25)
        #expect(ours[1] > middle && ours[1] < middle * 1.25)
    }

    @Test func `each slot's part of the context is padded`() {
        #expect(EngineMemorySettings(contextLength: 512).cellCount == 512)
        #expect(EngineMemorySettings(contextLength: 513).cellCount == 768)
        #expect(EngineMemorySettings(contextLength: 512, slotCount: 4).cellCount == 1024)
        #expect(EngineMemorySettings(contextLength: 1, slotCount: 1).cellCount == 256)
    }

    @Test func `the ranges of a split add up to the model`() throws {
        let facts = try facts(of: .tiny)
        let demand = MemoryDemand(facts, settings: EngineMemorySettings(contextLength: 1024))
        let memory = [ByteCount(3 << 30), ByteCount(2 << 30), ByteCount(1 << 30)]
        let split = try LayerSplit(availableMemory: memory, demand: demand)
        let estimates = split.ranges.map(demand.estimate(of:))
        #expect(estimates.map(\.weights).reduce(.zero, +) == facts.workerByteCount)
        #expect(
            estimates.map(\.total).reduce(.zero, +) == demand.totalByteCount(deviceCount: 3)
        )
        #expect(demand.estimate(of: range(4..<4, of: 8)).total == .zero)
    }
}

struct CapacityTests {
    private let demand: MemoryDemand

    init() throws {
        demand = MemoryDemand(
            try facts(of: .tiny),
            settings: EngineMemorySettings(contextLength: 4096)
        )
    }

    private func need(_ units: Range<Int>) -> ByteCount {
        demand.byteCount(of: range(units, of: 8))
    }

    @Test func `a worker too small for its share gets what it holds`() throws {
        // In proportion it would be 3, 3, 3.
        let memory = [need(0..<1), need(1..<8), need(1..<8)]
        let split = try LayerSplit(availableMemory: memory, demand: demand)
        #expect(split.ranges.map(\.units) == [0..<1, 1..<5, 5..<9])
        check(split, memory: memory, layerCount: 8)
    }

    @Test func `a worker that holds nothing gets nothing`() throws {
        let memory = [ByteCount(1 << 20), need(0..<9), ByteCount(1 << 20)]
        let split = try LayerSplit(availableMemory: memory, demand: demand)
        #expect(split.ranges.map(\.units) == [0..<0, 0..<9, 9..<9])
        #expect("\(split.tensorSplit)" != "\(split.fractions)")
        check(split, memory: memory, layerCount: 8)
    }

    @Test func `a model that just fits is placed`() throws {
        let memory = [need(0..<5), need(5..<7), need(7..<9)]
        let split = try LayerSplit(availableMemory: memory, demand: demand)
        #expect(split.ranges.map(\.units) == [0..<5, 5..<7, 7..<9])
    }

    @Test func `a model that does not fit is refused with both numbers`() throws {
        let memory = [need(0..<5), need(5..<7), need(7..<9) - ByteCount(1)]
        #expect(
            throws: LayerSplitError.doesNotFit(
                needed: demand.totalByteCount(deviceCount: 3),
                available: memory.reduce(.zero, +),
                unplacedUnitCount: 1
            )
        ) { try LayerSplit(availableMemory: memory, demand: demand) }
    }

    @Test(arguments: 0..<8 as Range<UInt64>)
    func `whatever is placed fits, and what is refused cannot be placed`(seed: UInt64) throws {
        var generator = SeededGenerator(seed: seed)
        let everything = need(0..<9).bytes
        for _ in 0..<40 {
            let memory = (0..<1 + generator.below(6)).map { _ in
                ByteCount(UInt64(generator.below(Int(everything))))
            }
            do throws(LayerSplitError) {
                let split = try LayerSplit(availableMemory: memory, demand: demand)
                for (range, memory) in zip(split.ranges, memory) {
                    #expect(demand.byteCount(of: range) <= memory)
                }
                check(split, memory: memory, layerCount: 8)
            } catch .noMemory {
                #expect(memory.allSatisfy { $0 == .zero })
            } catch .doesNotFit {
                #expect(!canPlace(memory[...], from: 0))
            }
        }
    }

    /// Tries every placement.
    private func canPlace(_ memory: ArraySlice<ByteCount>, from start: Int) -> Bool {
        guard let first = memory.first else { return start == 9 }
        return (start...9).contains { end in
            need(start..<end) <= first && canPlace(memory.dropFirst(), from: end)
        }
    }
}
