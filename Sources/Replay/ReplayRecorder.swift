import LeaderElection
import Namespaces
import Primitives
import Simulator

/// All that is known of a replay at a moment, and the judgement of it; without clock or sockets.
struct ReplayRecorder {
    private struct Agent {
        /// What it said last in this life; nil before its first word, and while it does not run.
        var view: AgentView?
        var life = 0
        var isUp = false
        var isStalled = false
        /// Whom to expect behind an id; outlives the process.
        var identity: NodeID?
    }

    let scenario: Scenario
    private(set) var conditions: ReplayConditions
    private(set) var rules: LinkRules
    private(set) var oracle = ReplayOracle()
    private(set) var phases: PhaseRecorder
    private(set) var violation: Violation?
    private var agents: [Agent]
    private var unwellSince: Duration?
    /// Masters until the end was well.
    private var settledBallots: Int?

    init(_ scenario: Scenario) {
        self.scenario = scenario
        conditions = ReplayConditions(scenario)
        rules = conditions.rules
        phases = PhaseRecorder(caption: "the agents start")
        agents = Array(repeating: Agent(), count: scenario.nodeCount)
    }

    // MARK: - What happens

    /// - Returns: the number of the life, which its words are to be reported with.
    mutating func starts(_ node: Int) -> Int {
        agents[node].life += 1
        agents[node].isUp = true
        agents[node].view = nil
        oracle.starts(node)
        return agents[node].life
    }

    mutating func ends(_ node: Int) {
        agents[node].isUp = false
        agents[node].isStalled = false
        agents[node].view = nil
    }

    mutating func stalls(_ node: Int) { agents[node].isStalled = true }

    mutating func wakes(_ node: Int) {
        agents[node].isStalled = false
        oracle.wakes(node)
        if agents[node].view?.isMaster == true { phases.wakes(masterAt: node) }
    }

    mutating func begins(_ fault: Int, at now: Duration) {
        conditions.begin(fault)
        change(fault, begins: true, now)
    }

    mutating func ends(fault: Int, at now: Duration) {
        conditions.end(fault)
        change(fault, begins: false, now)
    }

    private mutating func change(_ fault: Int, begins: Bool, _ now: Duration) {
        look(at: now)
        rules = conditions.rules
        let caption = scenario.faults[fault].fault.caption(nodeCount: scenario.nodeCount)
        phases.change(fault: fault, begins: begins, caption: caption, at: now)
        unwellSince = nil
        settledBallots = nil
    }

    mutating func sees(_ view: AgentView, of node: Int, life: Int, at now: Duration) {
        guard agents[node].isUp, agents[node].life == life else { return }
        agents[node].view = view
        agents[node].identity = view.own
        if let problem = oracle.sees(view, of: node, at: now) { report(problem, at: now) }
        look(at: now)
    }

    /// Time goes by.
    mutating func look(at now: Duration) {
        watchLeases(now)
        let silent = silentProblem
        let found = phases.look(
            judgedNodes,
            isComplete: silent == nil,
            by: judge,
            name: name,
            at: now
        )
        guard let problem = silent ?? found else {
            unwellSince = nil
            return
        }
        let since = unwellSince ?? now
        unwellSince = since
        let within = scenario.liveness.within
        // While packets get lost at random nothing is promised at any one moment.
        guard now - since > within, !isLossy, demands(.convergence) || demands(.stability)
        else { return }
        report(
            SideJudge.Problem(
                invariant: problem.invariant,
                detail: "\(problem.detail), for longer than \(within)"
            ),
            at: now
        )
    }

    // MARK: - Judging

    /// Whether all has been well for so long, and nobody else became master meanwhile.
    mutating func isSettled(for duration: Duration, at now: Duration) -> Bool {
        guard let well = phases.wellFor(at: now) else { return false }
        if settledBallots == nil { settledBallots = oracle.ballots.count }
        if demands(.stability), settledBallots != oracle.ballots.count {
            report(
                SideJudge.Problem(
                    invariant: "L1",
                    detail: "another master was elected after all was well"
                ),
                at: now
            )
        }
        return well >= duration
    }

    /// The only master there is; nil if there is none, or several.
    var onlyMaster: Int? {
        let masters = agents.indices.filter { agents[$0].view?.isMaster == true }
        return masters.count == 1 ? masters.first : nil
    }

    /// Whether all know the same voters, as many as there can be; true under `available`.
    var votersAreComplete: Bool {
        guard scenario.policy == .quorum else { return true }
        let running = agents.filter(\.isUp)
        let limit = min(VoterConfiguration.voterLimit, running.count)
        let voters = running.first?.view?.voters ?? []
        return voters.count == limit - (1 - limit % 2)
            && running.allSatisfy { $0.view?.voters == voters }
    }

    mutating func report(_ problem: SideJudge.Problem, at now: Duration) {
        guard violation == nil else { return }
        violation = Violation(invariant: problem.invariant, detail: problem.detail, at: now)
    }

    mutating func finish(at now: Duration) -> [PhaseRecorder.Phase] {
        phases.close(at: now)
        return phases.phases
    }

    /// What is not well now, in words.
    var trouble: String? {
        (silentProblem ?? judge.problem(judgedNodes, name: name))?.detail
    }

    private var isLossy: Bool { rules.loss.values.contains { $0 > 0 } || !rules.capacity.isEmpty }

    private func demands(_ expectation: Expectation) -> Bool {
        scenario.expectations.contains(expectation)
    }

    private var judge: SideJudge {
        let blocked = rules.blocked
        return SideJudge(hasOutsiders: scenario.liveness.core != nil) { from, to in
            !blocked.contains(DirectedLink(from: from, to: to))
        }
    }

    private func isJudged(_ node: Int) -> Bool {
        agents[node].isUp && !agents[node].isStalled
            && (scenario.liveness.core?.contains(node) ?? true)
    }

    private var judgedNodes: [SideJudge.Node] {
        agents.indices.compactMap { node in
            guard isJudged(node), let view = agents[node].view else { return nil }
            return SideJudge.Node(
                index: node,
                id: view.own,
                master: view.master,
                present: view.present,
                voters: view.voters
            )
        }
    }

    private var silentProblem: SideJudge.Problem? {
        guard let silent = agents.indices.first(where: { isJudged($0) && agents[$0].view == nil })
        else { return nil }
        return SideJudge.Problem(
            invariant: "L1",
            detail: "\(Scenario.name(of: silent)) runs and has said nothing yet"
        )
    }

    private func name(_ id: NodeID) -> String {
        agents.firstIndex { $0.identity == id }.map(Scenario.name) ?? "\(id)"
    }

    private mutating func watchLeases(_ now: Duration) {
        for node in agents.indices {
            guard agents[node].isUp, !agents[node].isStalled, let view = agents[node].view else {
                continue
            }
            let problem = oracle.watchLease(view, of: node, at: now) { [agents, rules] id in
                guard let other = agents.firstIndex(where: { $0.identity == id }) else {
                    return false
                }
                return agents[other].isUp && !agents[other].isStalled
                    && !rules.blocked.contains(DirectedLink(from: node, to: other))
                    && !rules.blocked.contains(DirectedLink(from: other, to: node))
            }
            if let problem { report(problem, at: now) }
        }
    }
}
