import ArgumentParser
import FoundationEssentials
import Namespaces
import Primitives
import Processes
import Replay
import Simulator
import Synchronization

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#elseif canImport(Android)
import Android
#elseif canImport(Darwin)
import Darwin
#endif

struct SimulateReplayCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "replay",
        abstract: "Play a scenario with real agents on real sockets, and see whether all holds.",
        discussion: """
            Each node becomes a real agent in a network namespace of its own, with an address \
            that nobody outside sees. Links are closed and made lossy by nftables, agents are \
            stopped with SIGSTOP and killed with SIGKILL. What is seen through their HTTP API \
            is judged as in the simulator, and set beside what the simulator shows.
              sudo caravan simulate replay Simulations/even-split-4.sim.json
              sudo caravan simulate replay Simulations/lone-master.sim.json --faults 1..1 \
            --master n1 --quick

            It takes as long as the scenario says, Linux, iproute2, nftables, and root where the \
            system keeps namespaces from other users. Nothing of it is left afterwards.

            Exit codes: 0 all held, 1 something did not, 2 it cannot be replayed (the message \
            says why).
            """
    )

    @Argument(help: ArgumentHelp("The scenario.", valueName: "file"))
    var file: String

    @Option(
        help: "Which faults a scenario with a swarm draws; the scenario's own if none is given."
    )
    var seed: UInt64?

    @Option(help: ArgumentHelp("Only these faults, counted from 1, as 2..3.", valueName: "range"))
    var faults: String?

    @Option(help: ArgumentHelp("No fault lasts longer than this, as 20s.", valueName: "duration"))
    var longest: String?

    @Option(help: ArgumentHelp("Start with this node as master, as n1.", valueName: "node"))
    var master: String?

    @Flag(help: "Pass over quiet times in which all is well.")
    var quick = false

    @Option(help: "How many simulated runs to compare with; 0 for none.")
    var simulated = 20

    @Flag(help: "Print one JSON object in the end, and nothing else.")
    var json = false

    @Option(
        help: ArgumentHelp("Keep the agents' states and logs in this folder.", valueName: "dir")
    )
    var keep: String?

    /// What the command says to itself in the namespace: where the agents' folder is.
    @Option(help: .hidden)
    var inside: String?

    func run() async throws {
        let plan = try plan()
        let seed = seed ?? plan.scenario.seed
        try await Signals.run {
            if let inside {
                try await play(plan, in: inside)
            } else {
                try await enter(plan, seed: seed)
            }
        }
    }

    private func plan() throws -> ReplayPlan {
        let scenario = try ScenarioFile.read(file).scenario
        do throws(ReplayError) {
            return try ReplayPlan(
                scenario.drawingSwarm(seed: seed ?? scenario.seed),
                try options(),
                nodeLimit: NamespaceNetwork.nodeLimit
            )
        } catch {
            throw ScenarioFile.refused("\(file): \(error)")
        }
    }

    private func options() throws(ReplayError) -> ReplayPlan.Options {
        var options = ReplayPlan.Options()
        options.isQuick = quick
        if let faults {
            guard let range = Self.range(faults) else {
                throw ReplayError("--faults takes a range as 1..3, not '\(faults)'")
            }
            options.faults = range
        }
        if let longest {
            guard let duration = Duration(scenarioText: longest) else {
                throw ReplayError("--longest takes a duration as 20s, not '\(longest)'")
            }
            options.longest = duration
        }
        if let master {
            guard let node = Scenario.node(named: master) else {
                throw ReplayError("--master takes a node as n1, not '\(master)'")
            }
            options.master = node
        }
        return options
    }

    private static func range(_ text: String) -> ClosedRange<Int>? {
        let ends = text.split(separator: ".", omittingEmptySubsequences: true)
        guard let first = ends.first.flatMap({ Int($0) }) else { return nil }
        if text == "\(first)" { return first...first }
        guard let last = ends.last.flatMap({ Int($0) }), first <= last, text == "\(first)..\(last)"
        else { return nil }
        return first...last
    }

    // MARK: - Outside

    /// Runs this command again in a namespace of its own, and says what it says.
    private func enter(_ plan: ReplayPlan, seed: UInt64) async throws {
        let isRoot = geteuid() == 0
        do {
            try await NamespaceNetwork.check(isRoot: isRoot)
        } catch {
            throw ScenarioFile.refused("a replay is not possible here: \(error)")
        }
        let folder = try makeFolder()
        var arguments = ["simulate", "replay", file, "--inside", folder, "--seed", "\(seed)"]
        if let faults { arguments += ["--faults", faults] }
        if let longest { arguments += ["--longest", longest] }
        if let master { arguments += ["--master", master] }
        if quick { arguments.append("--quick") }
        if json { arguments.append("--json") }
        arguments += ["--simulated", "\(simulated)"]
        let exit = await ProcessTools.runApart(arguments, isRoot: isRoot)
        try Task.checkCancellation()
        if keep == nil, exit.isSuccess { try? FileManager.default.removeItem(atPath: folder) }
        switch exit {
        case .exited(0): return
        case .exited(let code):
            Output.writeError("what the agents logged: \(folder)")
            throw ExitCode(code)
        case .signalled, .couldNotStart:
            throw ScenarioFile.refused("the replay did not run to its end: it \(exit)")
        }
    }

    private func makeFolder() throws -> String {
        let folder =
            keep.map(Folders.absolute)
            ?? FileManager.default.temporaryDirectory
            .appending(path: "caravan-replay-\(getpid())").path()
        do {
            // Old states would remember old members.
            if keep == nil { try? FileManager.default.removeItem(atPath: folder) }
            guard !FileManager.default.fileExists(atPath: folder + "/n1") else {
                throw ScenarioFile.refused(
                    "\(folder): holds an earlier replay; name another folder"
                )
            }
            try FileManager.default.createDirectory(
                atPath: folder + "/models",
                withIntermediateDirectories: true
            )
        } catch let error as CocoaError {
            throw ScenarioFile.refused("\(folder): cannot be made: \(error)")
        }
        return folder
    }

    // MARK: - Inside

    private func play(_ plan: ReplayPlan, in folder: String) async throws {
        let text = ReplayText(plan)
        if !json { Output.write(text.beginning) }
        let isQuiet = json
        let report = try await NamespaceNetwork.with(
            nodeCount: plan.scenario.nodeCount,
            hub: .own
        ) { network in
            try await Replay(
                plan,
                on: network,
                caravan: ProcessTools.ownPath,
                folder: folder
            ) { time, line in
                if !isQuiet { Output.write(text.line(time, line)) }
            }.run()
        }
        let comparison = PhaseComparison(plan.scenario, runCount: simulated)
        Output.write(json ? try text.json(report, comparison) : text.end(report, comparison))
        if let violation = report.violation {
            Output.writeError("\(violation)")
            throw ExitCode(1)
        }
    }
}
