import Agent
import ArgumentParser
import FoundationEssentials
import GGUF
import Primitives
import SecureChannel

struct BenchRelayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "relay",
        abstract: "What the sealed relay between llama-server and its workers costs.",
        discussion: """
            Bytes are pushed over loopback through two relays with a sealed stream between them, \
            and, in turn, through plain TCP, relays that do not seal, and two stunnels, if stunnel \
            is installed (apt-get install stunnel4). The speed of the cipher alone is told beside \
            it.

            Then three agents each with --exposure relay and --exposure direct run a model with \
            random weights, and answer in turn; the ratio is the median of the rounds', in each of \
            which both answer twice. Their memory is watched from before the launch on:
              caravan bench relay --model-size 500MB --tokens 200

            Everything is done on this machine, in one run; nothing is left behind.
            """
    )

    @Option(help: ArgumentHelp("How much is pushed each time.", valueName: "amount"))
    var size = "1GB"

    @Option(help: "How often each way is tried; the median counts.")
    var rounds = 5

    @Option(help: ArgumentHelp("How large the model is; 0 for none.", valueName: "amount"))
    var modelSize = "50MB"

    @Option(help: "How many tokens are asked for each time.")
    var tokens = 100

    @Option(help: ArgumentHelp("Where llama.cpp's binaries are.", valueName: "dir"))
    var engine: String?

    @Flag(help: "Leave stunnel out.")
    var noStunnel = false

    @Flag(help: "Print JSON; its keys are stable.")
    var json = false

    func run() async throws {
        guard let size = ByteCount(size), size.bytes >= 1 << 20, size.bytes <= 1 << 40 else {
            throw ValidationError("--size takes an amount from 1MiB to 1TiB, as 1GB")
        }
        guard let model = ByteCount(modelSize),
            model == .zero
                || (ModelShape.smallestByteCount...ModelShape.byteCountLimit).contains(model)
        else {
            throw ValidationError(
                "--model-size takes 0, or an amount from \(ModelShape.smallestByteCount) on"
            )
        }
        guard 1...100 ~= rounds, 1...4000 ~= tokens else {
            throw ValidationError("--rounds takes 1 to 100, --tokens 1 to 4000")
        }
        let bench = self
        let report = Collected<RelayReport>()
        try await Signals.run {
            report.append(try await bench.measure(size, model))
        }
        guard let result = report.all.first else { throw ExitCode(1) }
        print(json ? BenchReport.encoded(result) : result.text)
    }

    private func measure(_ size: ByteCount, _ model: ByteCount) async throws -> RelayReport {
        let stunnel =
            noStunnel ? nil : ProcessTools.find("stunnel4") ?? ProcessTools.find("stunnel")
        if stunnel == nil, !noStunnel {
            Output.writeError(
                "stunnel is not installed (apt-get install stunnel4): nothing to compare with"
            )
        }
        let suite = NoiseSuite.preferred
        let bench = ThroughputBench(
            byteCount: Int(size.bytes),
            rounds: rounds,
            stunnel: stunnel,
            suite: suite
        )
        let cipher = try bench.cipher()
        let ways = try await bench.run()
        var report = RelayReport(
            suite: "\(suite)",
            sealBytesPerSecond: cipher.seal,
            openBytesPerSecond: cipher.open,
            bytesPerSecond: Dictionary(
                uniqueKeysWithValues: ways.map { ($0.key.rawValue, $0.value) }
            )
        )
        guard model > .zero else { return report }
        let generation = GenerationBench(
            modelSize: model,
            tokenCount: tokens,
            rounds: rounds,
            engine: engine.map(Folders.absolute)
        )
        report.generation = try await generation.run()
        return report
    }
}

/// What was measured, as JSON and in words.
struct RelayReport: Codable, Sendable {
    var suite: String
    var sealBytesPerSecond: Double
    var openBytesPerSecond: Double
    /// By way.
    var bytesPerSecond: [String: Double]
    var generation: Generation?

    struct Generation: Codable, Sendable {
        var modelBytes: UInt64
        var relayTokensPerSecond: Double
        var directTokensPerSecond: Double
        /// Relay divided by direct, the median of the rounds'.
        var ratio: Double
        var lowestRatio: Double
        var highestRatio: Double
        /// How much more memory of its own an agent had than before the launch, the most of all.
        var relayMemoryBytes: UInt64
        var directMemoryBytes: UInt64
    }

    var text: String {
        func speed(_ value: Double) -> String { "\(Int(value / 1e6)) MB/s" }
        var lines = [
            "cipher alone (\(suite)), one thread: seals \(speed(sealBytesPerSecond)), opens "
                + speed(openBytesPerSecond)
        ]
        for way in ThroughputBench.Way.allCases {
            guard let value = bytesPerSecond[way.rawValue] else { continue }
            let name = way.rawValue + String(repeating: " ", count: 24 - way.rawValue.count)
            lines.append("\(name) \(speed(value))")
        }
        guard let generation else { return lines.joined(separator: "\n") }
        func rounded(_ value: Double, _ scale: Double) -> Double {
            (value * scale).rounded() / scale
        }
        lines += [
            "a model of \(ByteCount(generation.modelBytes)) on two workers, tokens/s: relay "
                + "\(rounded(generation.relayTokensPerSecond, 10)), direct "
                + "\(rounded(generation.directTokensPerSecond, 10)), ratio "
                + "\(rounded(generation.ratio, 1000)) (rounds: "
                + "\(rounded(generation.lowestRatio, 1000)) to "
                + "\(rounded(generation.highestRatio, 1000)))",
            "memory of an agent above idle, the most seen: relay "
                + "\(rounded(Double(generation.relayMemoryBytes) / 1048576, 10)) MiB, direct "
                + "\(rounded(Double(generation.directMemoryBytes) / 1048576, 10)) MiB",
        ]
        return lines.joined(separator: "\n")
    }
}
