import ArgumentParser
import FoundationEssentials
import GGUF
import Namespaces
import Primitives
import Processes
import Simulator

struct BenchStartupCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "startup",
        abstract: "How much longer a model takes to start when the master is far from its workers.",
        discussion: """
            A master and two workers, each in a network namespace of its own, start a small model \
            several times: with nothing between them, and with a long cable at the master. Once \
            with the relay, and once with --exposure direct, which is llama.cpp as it is. Times \
            are those of the master's log, from the first phase to the last; medians.
              sudo caravan bench startup --rtt 20ms

            Linux only; takes root, iproute2 and /dev/net/tun. Nothing is left behind.
            """
    )

    @Option(help: ArgumentHelp("What the cable adds, there and back.", valueName: "duration"))
    var rtt = "20ms"

    @Option(help: "How many clusters are started for each case.")
    var rounds = 3

    @Option(help: "How often each starts the model again.")
    var laterLaunches = 3

    @Option(help: ArgumentHelp("How large the model is.", valueName: "amount"))
    var modelSize = "2MB"

    @Option(help: ArgumentHelp("Where llama.cpp's binaries are.", valueName: "dir"))
    var engine: String?

    @Flag(help: "Leave --exposure direct out.")
    var noDirect = false

    @Flag(help: "Print JSON; its keys are stable.")
    var json = false

    /// For this command itself: it is in a namespace of its own, and what it makes is here.
    @Option(help: .hidden)
    var inside: String?

    func run() async throws {
        guard let roundTrip = Duration(scenarioText: rtt), roundTrip > .zero,
            roundTrip <= .seconds(2)
        else { throw ValidationError("--rtt takes a duration up to 2s, as 20ms, not '\(rtt)'") }
        guard let size = ByteCount(modelSize),
            (ModelShape.smallestByteCount...ModelShape.byteCountLimit).contains(size)
        else {
            throw ValidationError(
                "--model-size takes an amount from \(ModelShape.smallestByteCount) on"
            )
        }
        guard 1...100 ~= rounds, 1...100 ~= laterLaunches else {
            throw ValidationError("--rounds and --later-launches take 1 to 100")
        }
        guard let inside else { return try await enter() }
        let bench = StartupBench(
            folder: inside,
            engine: engine ?? "",
            modelSize: size,
            roundTrip: roundTrip,
            rounds: rounds,
            laterLaunches: laterLaunches,
            exposures: noDirect ? ["relay"] : ["relay", "direct"]
        )
        let reports = Collected<StartupReport>()
        try await Signals.run { reports.append(try await bench.run()) }
        guard let report = reports.all.first else { throw ExitCode(1) }
        print(json ? BenchReport.encoded(report) : report.text)
    }

    /// Runs this command again in a namespace of its own, and says what it says.
    private func enter() async throws {
        do {
            try await NamespaceNetwork.check(isRoot: ProcessTools.isRoot)
        } catch {
            throw CommandFailure("this bench is not possible here: \(error)")
        }
        guard ProcessTools.isRoot else { throw CommandFailure("a long cable takes root") }
        // Fetched out here, where there is a network.
        let engineFolder = try await DemoEngine.find(engine, in: Folders.demo)
        let folder = FileManager.default.temporaryDirectory
            .appending(path: "caravan-bench-startup-\(UInt32.random(in: 0...UInt32.max))").path()
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var arguments = [
            "bench", "startup", "--inside", folder, "--engine", engineFolder, "--rtt", rtt,
            "--rounds", "\(rounds)", "--later-launches", "\(laterLaunches)",
            "--model-size", modelSize,
        ]
        if noDirect { arguments.append("--no-direct") }
        if json { arguments.append("--json") }
        let words = arguments
        let exits = Collected<ChildExit>()
        try await Signals.run {
            exits.append(await ProcessTools.runApart(words, isRoot: true))
        }
        guard exits.all.first?.isSuccess == true else { throw ExitCode(1) }
    }
}

/// What was measured, as JSON and in words.
struct StartupReport: Codable, Sendable {
    /// Seconds from the first phase to the last, medians.
    struct Times: Codable, Sendable {
        /// The first launch of a new cluster, and those after it.
        var first: Double
        var later: Double
    }

    struct Case: Codable, Sendable {
        var exposure: String
        var near: Times
        var far: Times
        /// What the cable costs.
        var firstAdded: Double
        var laterAdded: Double
    }

    var roundTripMilliseconds: Double
    var modelBytes: UInt64
    var cases: [Case]

    var text: String {
        func seconds(_ value: Double) -> String { "\(BenchReport.fixed(value, 2)) s" }
        var rows = [["", "first launch", "added", "later launches", "added"]]
        for one in cases {
            rows.append([one.exposure, seconds(one.near.first), "", seconds(one.near.later), ""])
            rows.append([
                "\(one.exposure), far", seconds(one.far.first), seconds(one.firstAdded),
                seconds(one.far.later), seconds(one.laterAdded),
            ])
        }
        let head =
            "a model of \(ByteCount(modelBytes)) on two workers, the master "
            + "\(roundTripMilliseconds) ms away, there and back"
        return ([head] + StatusText.columns(rows)).joined(separator: "\n")
    }
}
