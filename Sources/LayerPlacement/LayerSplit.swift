package import Primitives

/// Why a model cannot be laid onto the given devices.
package enum LayerSplitError: Error, Equatable {
    case noDevices
    case tooManyDevices(count: Int, limit: Int)
    case layerCountOutOfRange(Int, limit: Int)
    /// No device reports any available memory.
    case noMemory
    /// Not all units find a place, each device taking as many as its memory holds.
    ///
    /// `needed` may be below `available` when what is left on each device is less than one unit.
    case doesNotFit(needed: ByteCount, available: ByteCount, unplacedUnitCount: Int)
}

extension LayerSplitError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .noDevices: "there is no device to hold the model"
        case .tooManyDevices(let count, let limit):
            "\(count) devices, but llama.cpp takes at most \(limit)"
        case .layerCountOutOfRange(let count, let limit):
            "the model has \(count) layers, expected 1...\(limit)"
        case .noMemory: "no device reports available memory"
        case .doesNotFit(let needed, let available, let unplacedUnitCount):
            "the model does not fit: \(needed) needed, \(available) available on the workers, "
                + "\(unplacedUnitCount) layers left over"
        }
    }
}

/// Which device holds which layers, and the `--tensor-split` that makes llama.cpp agree.
///
/// The split follows the memory of the devices, the master's excluded: one value per RPC *device*,
/// in the order of `--rpc`. Layers are whole, so counts are rounded by largest remainder. Every
/// device gets at least one unit when there are enough, unless its memory holds none.
package struct LayerSplit: Equatable, Sendable {
    /// llama.cpp exits when it gets more values (`llama_max_devices`).
    package static let deviceCountLimit = 16
    package static let layerCountLimit = 512

    /// One per device, in their order; contiguous, and together all units of the model.
    package let ranges: [LayerRange]
    /// The devices' shares of the memory with two decimals, which add up to 1.00; for display.
    package let fractions: TensorSplit
    /// What to pass to llama.cpp: the fractions if they give these ranges, else finer values.
    package let tensorSplit: TensorSplit

    /// Splits by available memory alone.
    package init(
        availableMemory: [ByteCount],
        layerCount: Int
    ) throws(LayerSplitError) {
        try self.init(availableMemory: availableMemory, layerCount: layerCount, demand: nil)
    }

    /// Splits by available memory, giving no device more than it holds.
    ///
    /// A device too small for its share keeps what fits, and the others take the rest in
    /// proportion to their memory.
    package init(
        availableMemory: [ByteCount],
        demand: MemoryDemand
    ) throws(LayerSplitError) {
        try self.init(
            availableMemory: availableMemory,
            layerCount: demand.layerCount,
            demand: demand
        )
    }

    private init(
        availableMemory: [ByteCount],
        layerCount: Int,
        demand: MemoryDemand?
    ) throws(LayerSplitError) {
        guard !availableMemory.isEmpty else { throw .noDevices }
        guard availableMemory.count <= Self.deviceCountLimit else {
            throw .tooManyDevices(count: availableMemory.count, limit: Self.deviceCountLimit)
        }
        guard 1...Self.layerCountLimit ~= layerCount else {
            throw .layerCountOutOfRange(layerCount, limit: Self.layerCountLimit)
        }
        guard let fractions = largestRemainder(100, weights: availableMemory.map(\.bytes)) else {
            throw .noMemory
        }
        let unitCount = layerCount + 1
        let allotment = UnitAllotment(
            memory: availableMemory,
            unitCount: unitCount,
            demand: demand
        )
        let ends = try allotment.ends()
        var start = 0
        var ranges: [LayerRange] = []
        for end in ends {
            ranges.append(LayerRange(units: start..<end, layerCount: layerCount))
            start = end
        }
        self.ranges = ranges
        self.fractions = TensorSplit(parts: fractions, decimals: 2)
        tensorSplit =
            self.fractions.unitEnds(unitCount: unitCount) == ends
            ? self.fractions
            : TensorSplit(unitEnds: ends)
    }
}
