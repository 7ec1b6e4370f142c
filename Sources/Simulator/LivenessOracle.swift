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
    /// Since when all has been well, launches included.
    private var wellSince: Duration?
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
                    simulation.report(problem.invariant, problem.detail + lateness(liveness.within))
                }
            } else {
                convergedAfter = since
                electionCount = simulation.electionCount
            }
        } else if demands(.stability), simulation.electionCount > electionCount {
            simulation.report("L1", "another master was elected after all was well")
        }
        if !isSettled {
            if let problem = launchProblem(in: simulation) {
                if since >= liveness.launchLimit, demands(.ready) || demands(.settled) {
                    simulation.report("launch", problem + lateness(liveness.launchLimit))
                }
            } else {
                isSettled = true
            }
        }
        // Whoever was asked to leave before the network was quiet may take long to go.
        if convergedAfter != nil, isSettled, wellSince == nil,
            !simulation.hosts.contains(where: \.isLeaving), problem(in: simulation) == nil
        {
            wellSince = since
        }
    }

    /// Whether all has been well for as long as the scenario wants to see.
    func isDone(_ simulation: Simulation) -> Bool {
        guard let hold = liveness.hold, let wellSince else { return false }
        return Duration.nanoseconds(simulation.now) - liveness.at - wellSince >= hold
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

    private func lateness(_ limit: Duration) -> String {
        ", \(limit.scenarioText) after \(liveness.at.scenarioText)"
    }

    // MARK: - One master, equal views

    private struct State {
        let host: SimulatedHost
        let master: Ballot?
    }

    private func problem(in simulation: Simulation) -> (invariant: String, detail: String)? {
        let running = simulation.hosts.filter { $0.core != nil && !$0.isStalled }
        let judged = running.filter { liveness.core?.contains($0.index) ?? true }
        // Where not everybody reaches everybody, no single master can be demanded.
        for side in Self.sides(of: judged, simulation) where Self.isClique(side, simulation) {
            if let problem = problem(of: side, simulation) { return problem }
        }
        return nil
    }

    private func problem(
        of side: [SimulatedHost],
        _ simulation: Simulation
    ) -> (invariant: String, detail: String)? {
        let states = side.compactMap { host in
            host.core == nil ? nil : State(host: host, master: host.master)
        }
        guard let first = states.first else { return nil }
        if simulation.scenario.policy == .quorum, !simulation.quorum.hasQuorum(side) {
            return problemWithoutQuorum(states) ?? viewProblem(of: states, simulation)
        }
        for state in states {
            guard let ballot = state.master else {
                return ("L1", "\(state.host.name) obeys no master")
            }
            guard ballot == first.master else {
                return ("L1", "\(first.host.name) and \(state.host.name) obey different masters")
            }
        }
        let isOnSide = states.contains { $0.host.identity == first.master?.node }
        guard isOnSide || liveness.core != nil else {
            return ("L1", "the master that \(first.host.name) obeys is not on its side")
        }
        return viewProblem(of: states, simulation)
    }

    /// Where no majority of the voters is, nobody may be master; who else may be about is only
    /// known if all nodes are judged.
    private func problemWithoutQuorum(
        _ states: [State]
    ) -> (invariant: String, detail: String)? {
        guard liveness.core == nil,
            let master = states.first(where: { $0.master?.node == $0.host.identity })
        else { return nil }
        return ("L3", "\(master.host.name) is master, and no majority of the voters is there")
    }

    private func viewProblem(
        of states: [State],
        _ simulation: Simulation
    ) -> (invariant: String, detail: String)? {
        let members = states.map(\.host.identity)
        let sorted = members.sorted()
        for state in states {
            let present = state.host.present
            // Views are sorted: most of the time there is no need to look for each.
            if present == sorted { continue }
            if let missing = members.first(where: { !present.contains($0) }) {
                let name = simulation.name(of: missing)
                return ("L2", "\(state.host.name) misses \(name), which it can reach")
            }
            guard liveness.core == nil else { continue }
            if let extra = present.first(where: { !members.contains($0) }) {
                let name = simulation.name(of: extra)
                return ("L4", "\(state.host.name) takes \(name) for present")
            }
        }
        return nil
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
        let isMissed =
            simulation.scenario.policy == .available
            || Self.sides(of: simulation.hosts.filter { $0.core != nil }, simulation)
                .contains { simulation.quorum.hasQuorum($0) }
        guard !hasMaster, isAnybodyUp, isMissed else { return nil }
        return "nobody is master and could run what is wanted"
    }

    // MARK: - Sides

    private static func isLinked(
        _ first: SimulatedHost,
        _ second: SimulatedHost,
        _ simulation: Simulation
    ) -> Bool {
        simulation.network.isOpen(from: first.index, to: second.index)
            && simulation.network.isOpen(from: second.index, to: first.index)
    }

    /// Who reaches whom both ways, over others too.
    private static func sides(
        of hosts: [SimulatedHost],
        _ simulation: Simulation
    ) -> [[SimulatedHost]] {
        guard !simulation.network.isWhole else { return hosts.isEmpty ? [] : [hosts] }
        var left = hosts
        var sides: [[SimulatedHost]] = []
        while let first = left.first {
            left.removeFirst()
            var side = [first]
            var next = 0
            while next < side.count {
                let host = side[next]
                next += 1
                let linked = left.filter { isLinked(host, $0, simulation) }
                left.removeAll { isLinked(host, $0, simulation) }
                side += linked
            }
            sides.append(side)
        }
        return sides
    }

    private static func isClique(_ side: [SimulatedHost], _ simulation: Simulation) -> Bool {
        simulation.network.isWhole
            || side.allSatisfy { first in
                side.allSatisfy { $0 === first || isLinked(first, $0, simulation) }
            }
    }
}

extension SimulatedHost {
    fileprivate var master: Ballot? {
        guard let loop, let core else { return nil }
        var master: Ballot?
        loop.run { master = core.master }
        return master
    }

    /// Whom it takes for present, itself included; sorted.
    fileprivate var present: [NodeID] {
        guard let loop, let core else { return [] }
        var present: [NodeID] = []
        loop.run { present = core.view.filter(\.state.isPresent).map(\.id) }
        return present
    }

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
