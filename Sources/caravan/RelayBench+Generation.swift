import FoundationEssentials
import GGUF
import Gateway
import Primitives
import Synchronization

/// How fast a model answers through the relay and without it, and what memory agents need.
struct GenerationBench: Sendable {
    let modelSize: ByteCount
    let tokenCount: Int
    let rounds: Int
    let engine: String?

    func run() async throws -> RelayReport.Generation {
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "caravan-bench-relay-\(UInt32.random(in: 0...UInt32.max))").path()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let engineFolder = try await DemoEngine.find(engine, in: Folders.demo)
        let models = folder + "/models"
        try TinyModel.write(ModelShape(near: modelSize), seed: 1, to: models + "/bench.gguf")
        func cluster(_ exposure: String) -> DemoCluster {
            DemoCluster(
                folder: "\(folder)/\(exposure)",
                engine: engineFolder,
                models: models,
                memory: ByteCount(4 * modelSize.bytes + 1 << 30),
                arguments: ["--exposure", exposure, "--no-discovery"],
                isQuiet: true
            )
        }
        let (relay, direct) = (cluster("relay"), cluster("direct"))
        do {
            let result = try await measure(relay, direct)
            await relay.stop()
            await direct.stop()
            return result
        } catch {
            await relay.stop()
            await direct.stop()
            throw error
        }
    }

    private func measure(
        _ relay: DemoCluster,
        _ direct: DemoCluster
    ) async throws -> RelayReport.Generation {
        let relayMemory = try await launch(relay)
        let directMemory = try await launch(direct)
        // Nothing is measured before both have answered once.
        _ = try await rate(relay)
        _ = try await rate(direct)
        var measured: [Round] = []
        for _ in 0..<rounds {
            // A machine that gets slower or faster does so to both.
            let first = try await rate(relay)
            let both = [try await rate(direct), try await rate(direct)]
            measured.append(Round(relay: [first, try await rate(relay)], direct: both))
        }
        let ratios = measured.map(\.ratio).sorted()
        return RelayReport.Generation(
            modelBytes: modelSize.bytes,
            relayTokensPerSecond: BenchReport.median(measured.flatMap(\.relay)) ?? 0,
            directTokensPerSecond: BenchReport.median(measured.flatMap(\.direct)) ?? 0,
            ratio: BenchReport.median(ratios) ?? 0,
            lowestRatio: ratios.first ?? 0,
            highestRatio: ratios.last ?? 0,
            relayMemoryBytes: relayMemory.stop(),
            directMemoryBytes: directMemory.stop()
        )
    }

    /// Tokens per second, each way asked twice.
    private struct Round {
        let relay: [Double]
        let direct: [Double]

        /// How long the same takes directly, divided by how long it takes through the relay.
        var ratio: Double { Self.time(direct) / Self.time(relay) }

        private static func time(_ rates: [Double]) -> Double {
            rates.reduce(0) { $0 + 1 / $1 }
        }
    }

    /// Runs the model on a new cluster, and watches its memory from before the launch on.
    private func launch(_ cluster: DemoCluster) async throws -> MemoryWatch {
        try await cluster.start()
        _ = try await cluster.waitForMaster()
        try await Task.sleep(for: .seconds(2))
        let watch = MemoryWatch(cluster.processIDs)
        _ = try await cluster.launch("bench.gguf", through: cluster.agents[0])
        return watch
    }

    /// Tokens per second, as llama-server itself counts them.
    private func rate(_ cluster: DemoCluster) async throws -> Double {
        struct Request: Encodable {
            var prompt = "The caravan went on through the night and"
            var max_tokens: Int
            var temperature = 0.0
            var ignore_eos = true
            var cache_prompt = false
        }
        struct Answer: Decodable {
            struct Timings: Decodable { var predicted_per_second: Double }
            var timings: Timings
        }
        let request = try JSONEncoder().encode(Request(max_tokens: tokenCount))
        let response = try await cluster.client(cluster.agents[0])
            .post("/v1/completions", json: [UInt8](request))
        guard response.status == 200 else { throw CommandFailure(response.text) }
        return try JSONDecoder().decode(Answer.self, from: Data(response.body)).timings
            .predicted_per_second
    }
}

/// Looks at the memory of processes again and again.
private final class MemoryWatch: Sendable {
    private let mostAboveIdle = Mutex<UInt64>(0)
    private let task = Mutex<Task<Void, Never>?>(nil)

    private static let interval: Duration = .milliseconds(50)

    init(_ processIDs: [Int32]) {
        let idle = processIDs.map { ProcessTools.anonymousKiB(of: $0) ?? 0 }
        let watching = Task { [self] in
            while !Task.isCancelled {
                for (pid, idle) in zip(processIDs, idle) {
                    let now = ProcessTools.anonymousKiB(of: pid) ?? 0
                    let above = UInt64(max(0, now - idle)) << 10
                    mostAboveIdle.withLock { $0 = max($0, above) }
                }
                try? await Task.sleep(for: Self.interval)
            }
        }
        task.withLock { $0 = watching }
    }

    /// Returns how much more memory one of them had than at the beginning, the most seen.
    func stop() -> UInt64 {
        task.withLock { $0 }?.cancel()
        return mostAboveIdle.withLock { $0 }
    }
}
