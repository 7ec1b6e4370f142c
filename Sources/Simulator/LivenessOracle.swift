import LayerPlacement
import LeaderElection
import Primitives
import Runtime
import SWIM

/// What must come to hold once the network is quiet (election.md, L1, L2, L4, and launches).
struct LivenessOracle {
    static let interval: Duration = .milliseconds(200)

    private let liveness: Liveness
    private let expectations: [Expectation]
    private let losesDisks: Bool
    private(set) var convergedAfter: Duration?
    private var isSettled = false
    /// Elections until convergence.
    private var electionCount = 0

    init(_ scenario: Scenario) {
        liveness = scenario.liveness
        expectations = scenario.expectations
        losesDisks = scenario.faults.contains { scheduled in
            if case .crash(_, let disk, _) = scheduled.fault { disk != .kept } else { false }
        }
    }

    /// Looks once; called again and again from `liveness.at` on.
    mutating func judge(_ simulation: Simulation) {
        let since = Duration.nanoseconds(simulation.now) - liveness.at
        let isLate = since >= liveness.within
        if convergedAfter == nil {
            if let problem = problem(in: simulation) {
                if isLate, demands(.convergence) || demands(.stability) {
                    simulation.report(problem.invariant, problem.detail + lateness)
                }
            } else {
                convergedAfter = since
                electionCount = simulation.electionCount
            }
        } else if demands(.stability), simulation.electionCount > electionCount {
            simulation.report("L1", "another master was elected after all was well")
        }
        guard !isSettled else { return }
        if let problem = launchProblem(in: simulation) {
            if isLate, demands(.ready) || demands(.settled) {
                simulation.report("launch", problem + lateness)
            }
        } else {
            isSettled = true
        }
    }

    /// What was reached must still hold at the end.
    mutating func judgeEnd(_ simulation: Simulation) {
        guard demands(.convergence) || demands(.stability),
            let problem = problem(in: simulation)
        else { return }
        simulation.report(problem.invariant, problem.detail + ", at the end")
    }

    private func demands(_ expectation: Expectation) -> Bool {
        expectations.contains(expectation)
    }

    private var lateness: String {
        ", \(liveness.within.scenarioText) after \(liveness.at.scenarioText)"
    }

    // MARK: - One master, equal views

    private func problem(in simulation: Simulation) -> SideJudge.Problem? {
        let (nodes, judge) = nodes(of: simulation)
        return judge.problem(nodes, name: simulation.name)
    }

    /// What the nodes of which anything is demanded say now, and who judges them.
    func nodes(of simulation: Simulation) -> ([SideJudge.Node], SideJudge) {
        let running = simulation.hosts.filter { $0.core != nil && !$0.isStalled }
        let judged = running.filter { liveness.core?.contains($0.index) ?? true }
        let nodes = judged.compactMap { host in
            host.snapshot.map { snapshot in
                SideJudge.Node(
                    index: host.index,
                    id: host.identity,
                    master: snapshot.master,
                    present: snapshot.view.filter(\.state.isPresent).map(\.id)
                )
            }
        }
        let judge = SideJudge(hasOutsiders: liveness.core != nil) { from, to in
            simulation.network.isOpen(from: from, to: to)
        }
        return (nodes, judge)
    }

    // MARK: - Launches

    private func launchProblem(in simulation: Simulation) -> String? {
        guard let model = simulation.scenario.model else { return nil }
        var hasMaster = false
        for host in simulation.hosts where !host.isStalled {
            guard let snapshot = host.snapshot, snapshot.master?.node == host.identity,
                liveness.core?.contains(host.index) ?? true
            else { continue }
            hasMaster = true
            guard snapshot.wanted == model.wanted else {
                // Whoever knew it may have lost its disk.
                if losesDisks { continue }
                return "\(host.name) is master and has lost what is wanted"
            }
            let phase = snapshot.report?.phase
            let isReady = phase == .ready && snapshot.llamaEndpoint != nil
            let hasFailed = phase == .failed && snapshot.report?.message.isEmpty == false
            guard isReady || (hasFailed && !demands(.ready)) else {
                let detail = snapshot.report?.message ?? ""
                return "the launch of \(host.name) is neither ready nor failed (\(detail))"
            }
        }
        let isAnybodyUp = simulation.hosts.contains { $0.core != nil && !$0.isStalled }
        return hasMaster || !isAnybodyUp ? nil : "nobody is master and could run what is wanted"
    }
}

extension SimulatedHost {
    fileprivate var snapshot: CoreSnapshot? {
        guard let loop, let core else { return nil }
        var snapshot: CoreSnapshot?
        loop.run { snapshot = core.snapshot() }
        return snapshot
    }
}

extension Simulation {
    fileprivate var electionCount: Int {
        statistics.records["election.elected"] ?? 0
    }
}
