import ArgumentParser
import FoundationEssentials
import Primitives

struct BenchMembershipCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "membership",
        abstract: "How soon real agents notice a death, and what watching costs.",
        discussion: """
            Starts real agents on loopback addresses, kills one with SIGKILL, waits until all \
            others say that it is dead, starts it again, and so on:
              caravan bench membership --agents 10 --rounds 10
            If serf is installed (apt-get install serf), as many serf agents go through the same, \
            and the ratios are printed. As root both run in network namespaces of their own, so \
            that all their traffic is counted, TCP and headers too.

            A host that vanishes without a word, in network namespaces (needs root):
              caravan bench membership --vanish
            Some agents stopped again and again with SIGSTOP: nobody else may be accused:
              caravan bench membership --stall --agents 32

            Exit codes: 0 done, 1 something was not noticed, or somebody was accused who lived.
            """
    )

    @Option(help: "How many agents are started.")
    var agents = 10

    @Option(help: "How many deaths are measured.")
    var rounds = 10

    @Option(
        help: ArgumentHelp("How long traffic is counted while all is well.", valueName: "seconds")
    )
    var quiet = 60

    @Flag(help: "Cut a host's link instead of killing a process; needs root.")
    var vanish = false

    @Flag(help: "Stop four agents for 16 s, let them run for 0.25 s, and so on, for 60 s.")
    var stall = false

    @Flag(help: "Run the agents without a key, so that nothing is sealed.")
    var open = false

    @Flag(help: "Leave serf out.")
    var noSerf = false

    @Flag(help: "Print JSON; its keys are stable.")
    var json = false

    func run() async throws {
        guard 2...100 ~= agents, 1...1000 ~= rounds, 0...3600 ~= quiet else {
            throw ValidationError("--agents takes 2 to 100, --rounds 1 to 1000, --quiet 0 to 3600")
        }
        let isRoot = ProcessTools.isRoot
        if vanish, !isRoot {
            throw CommandFailure("--vanish makes network namespaces, which needs root")
        }
        if stall {
            try await runStall()
            return
        }
        var kinds: [BenchAgentKind] = [.caravan(isOpen: open)]
        if !noSerf {
            if let serf = ProcessTools.find("serf") {
                kinds.append(.serf(serf))
            } else {
                Output.writeError(
                    "serf is not installed (apt-get install serf): nothing to compare with"
                )
            }
        }
        let plan = BenchPlan(
            agentCount: agents,
            rounds: rounds,
            quiet: .seconds(quiet),
            vanishes: vanish,
            usesNamespaces: isRoot
        )
        let results = Collected<BenchResult>()
        try await Signals.run { [kinds] in
            for kind in kinds {
                let bench = MembershipBench(kind: kind, plan: plan)
                results.append(try await bench.run())
            }
        }
        let all = results.all
        print(json ? BenchReport.json(all, plan) : BenchReport.text(all, plan))
        guard let own = all.first, own.missed == 0, own.falseAccusations.isEmpty else {
            throw ExitCode(1)
        }
    }

    private func runStall() async throws {
        let plan = BenchPlan(
            agentCount: agents,
            rounds: 0,
            quiet: .zero,
            vanishes: false,
            usesNamespaces: ProcessTools.isRoot
        )
        let results = Collected<StallResult>()
        try await Signals.run {
            let bench = MembershipBench(kind: .caravan(isOpen: open), plan: plan)
            results.append(try await bench.runStall(stalled: 4))
        }
        guard let result = results.all.first else { throw ExitCode(1) }
        print(json ? BenchReport.json(result) : BenchReport.text(result))
        if !result.healthyAccusedByHealthy.isEmpty { throw ExitCode(1) }
    }
}
