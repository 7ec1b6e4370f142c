import GGUF
import Primitives

/// Which layers go where, and how llama-server is told.
struct LaunchPlan {
    let shares: [DeviceShare]
    /// In millionths.
    let split: [UInt32]
    /// Empty when the master is alone.
    let tensorSplit: String

    /// Splits the model over the workers' devices by the memory that they offer; a worker with
    /// several devices offers its memory to them in equal parts.
    ///
    /// Without workers the master holds everything.
    init(
        facts: ModelFacts,
        model: WantedModel,
        workers: [LaunchMachine.Worker],
        master: NodeID
    ) throws(LaunchProblem) {
        guard !workers.isEmpty else {
            let end = UInt16(clamping: facts.layerCount + 1)
            shares = [DeviceShare(node: master, device: nil, first: 0, end: end)]
            split = []
            tensorSplit = ""
            return
        }
        var nodes: [NodeID] = []
        var memory: [ByteCount] = []
        for worker in workers {
            let count = max(1, worker.deviceCount ?? 1)
            for _ in 0..<count {
                nodes.append(worker.node)
                memory.append(ByteCount(worker.memory.bytes / UInt64(count)))
            }
        }
        let settings = EngineMemorySettings(
            contextLength: Int(max(1, min(model.context, 1 << 30)))
        )
        let layers: LayerSplit
        do {
            layers = try LayerSplit(
                availableMemory: memory,
                demand: MemoryDemand(facts, settings: settings)
            )
        } catch {
            throw LaunchProblem(
                "\(error): add a device, free memory, or choose a smaller model or context"
            )
        }
        var shares: [DeviceShare] = []
        for (index, range) in layers.ranges.enumerated() {
            shares.append(
                DeviceShare(
                    node: nodes[index],
                    device: UInt8(clamping: index),
                    first: UInt16(clamping: range.units.lowerBound),
                    end: UInt16(clamping: range.units.upperBound)
                )
            )
        }
        self.shares = shares
        split = layers.tensorSplit.parts.map {
            UInt32($0 * (1_000_000 / layers.tensorSplit.scale))
        }
        tensorSplit = layers.tensorSplit.description
    }
}
