import LeaderElection
package import Namespaces
import Primitives
import Simulator
import Synchronization

/// A scenario played with real agents, each in a network namespace of its own: the kernel's links
/// are closed and made lossy as its faults say, and agents are stopped and killed.
///
/// This actor-free runner only carries: what is due when stands in the plan, what it means in
/// `ReplayConditions`, and what must hold in `ReplayRecorder`.
package final class Replay: Sendable {
    /// Something to tell people while it happens.
    package typealias Listener = @Sendable (Duration, String) -> Void

    private static let tick: Duration = .milliseconds(20)
    /// How long all must be well before a quiet time is passed over: longer than newcomers do not
    /// count for a lease.
    private static let quickPause: Duration =
        ElectionConfiguration().newcomerGrace + .milliseconds(500)
    /// How long all must stay well at the end.
    private static let settledFor: Duration = .seconds(3)
    /// How long the first master may take to elect itself.
    private static let firstMasterLimit: Duration = .seconds(20)

    private let plan: ReplayPlan
    private let network: NamespaceNetwork
    private let agents: [ReplayAgent]
    private let recorder: Mutex<ReplayRecorder>
    private let followers = Mutex<[Int: Task<Void, Never>]>([:])
    private let listener: Listener
    private let began = ContinuousClock.now

    /// - Parameters:
    ///   - caravan: the path of the program that the agents run.
    ///   - folder: for the agents' states and logs.
    package init(
        _ plan: ReplayPlan,
        on network: NamespaceNetwork,
        caravan: String,
        folder: String,
        listener: @escaping Listener
    ) {
        self.plan = plan
        self.network = network
        self.listener = listener
        recorder = Mutex(ReplayRecorder(plan.scenario))
        agents = (0..<plan.scenario.nodeCount).map { node in
            ReplayAgent(
                node: node,
                network: network,
                caravan: caravan,
                folder: folder,
                scenario: plan.scenario
            )
        }
    }

    private var now: Duration { ContinuousClock.now - began }

    /// Plays the plan to its end or to the first violation; all agents are gone when it returns.
    package func run() async throws -> ReplayReport {
        do {
            try await network.apply(recorder.withLock { $0.rules }, after: LinkRules())
            try await startAll()
            try await play()
            try await settle()
        } catch {
            await endAll()
            throw error
        }
        let report = recorder.withLock { recorder in
            let end = now
            return ReplayReport(
                scenario: plan.scenario.name,
                nodeCount: plan.scenario.nodeCount,
                violation: recorder.violation,
                phases: recorder.finish(at: end),
                electionCount: recorder.oracle.ballots.count,
                longestWithoutMajority: recorder.oracle.longestPowerless,
                duration: end,
                notes: plan.notes
            )
        }
        await endAll()
        return report
    }

    // MARK: - The course of it

    private func startAll() async throws {
        let scenario = plan.scenario
        let late = scenario.lateNodes
        let first = (0..<scenario.nodeCount).filter { !late.contains($0) }
        if let master = plan.options.master {
            start(master)
            try await found(on: master)
            let deadline = now + Self.firstMasterLimit
            while recorder.withLock({ $0.onlyMaster }) != master {
                guard now < deadline else {
                    throw ReplayError("\(Scenario.name(of: master)) did not become master alone")
                }
                try await pause()
            }
        }
        for node in first where node != plan.options.master {
            start(node)
            try await Task.sleep(for: scenario.startWithin / scenario.nodeCount)
        }
        guard plan.options.master == nil else { return }
        // As somebody does in the simulator.
        let founder = scenario.seeds.first(where: first.contains) ?? first.first
        if let founder { try await found(on: founder) }
    }

    /// Makes a cluster of the policy `quorum`, with one voter; the others join it.
    private func found(on node: Int) async throws {
        guard plan.scenario.policy == .quorum else { return }
        let deadline = now + Self.firstMasterLimit
        while true {
            do {
                return try await agents[node].found()
            } catch {
                guard now < deadline else { throw error }
            }
            try await pause()
        }
    }

    private func play() async throws {
        // The scenario's clock; it is set forward where quiet times are passed over.
        var offset = now
        for timed in plan.steps {
            while now - offset < timed.at, !isOver {
                try await pause()
                if isQuiet(before: timed) { offset = now - timed.at }
            }
            guard !isOver else { return }
            try await perform(timed.step)
        }
        while now - offset < plan.scenario.liveness.at, !isOver, !plan.options.isQuick {
            try await pause()
        }
    }

    private func isQuiet(before next: ReplayPlan.TimedStep) -> Bool {
        guard plan.options.isQuick, case .begin = next.step else { return false }
        return recorder.withLock { recorder in
            let isHealed = recorder.conditions.active.allSatisfy { number in
                plan.scenario.faults[number].lasts == nil
            }
            return isHealed && recorder.votersAreComplete
                && recorder.phases.wellFor(at: now) ?? .zero >= Self.quickPause
        }
    }

    private func settle() async throws {
        let deadline = now + plan.scenario.liveness.within + Self.settledFor
        while !isOver {
            let isSettled = recorder.withLock { $0.isSettled(for: Self.settledFor, at: now) }
            if isSettled { return }
            guard now < deadline else {
                recorder.withLock { recorder in
                    let detail = recorder.trouble ?? "it did not stay well"
                    recorder.report(
                        SideJudge.Problem(
                            invariant: "L1",
                            detail:
                                "\(detail), \(plan.scenario.liveness.within) after the last fault"
                        ),
                        at: now
                    )
                }
                return
            }
            try await pause()
        }
    }

    private var isOver: Bool { recorder.withLock { $0.violation != nil } }

    private func pause() async throws {
        try await Task.sleep(for: Self.tick)
        recorder.withLock { $0.look(at: now) }
        let running = followers.withLock { Set($0.keys) }
        for agent in agents where running.contains(agent.node) {
            guard let ending = agent.ending else { continue }
            throw ReplayError(
                "the agent \(agent.name) ended by itself: \(ending); "
                    + "its log is in \(agent.folder)/logs"
            )
        }
    }

    // MARK: - Faults

    private func perform(_ step: ReplayPlan.Step) async throws {
        let before = recorder.withLock { $0.rules }
        let number: Int
        let begins: Bool
        switch step {
        case .begin(let fault): (number, begins) = (fault, true)
        case .end(let fault): (number, begins) = (fault, false)
        }
        let fault = plan.scenario.faults[number].fault
        let told = fault.caption(nodeCount: plan.scenario.nodeCount)
        listener(now, (begins ? "begins: " : "ends: ") + told)
        // Counted from before it has an effect: what is measured is never too short.
        recorder.withLock { recorder in
            if begins {
                recorder.begins(number, at: now)
            } else {
                recorder.ends(fault: number, at: now)
            }
        }
        try await network.apply(recorder.withLock { $0.rules }, after: before)
        if begins { try await begin(fault) } else { try await end(fault) }
    }

    private func begin(_ fault: Fault) async throws {
        switch fault {
        case .crash(let nodes, let disk, let power):
            try await withEach(nodes) { [self] agent in
                try await crash(agent, disk, power)
            }
        case .stall(let nodes):
            for node in nodes where isRunning(node) {
                agents[node].suspend()
                recorder.withLock { $0.stalls(node) }
            }
        case .join(let nodes): for node in nodes { start(node) }
        case .reset(let from, let to):
            for node in from { try await network.resetStreams(of: node, with: to) }
        // A matter of links, or refused by the plan.
        default: break
        }
    }

    private func end(_ fault: Fault) async throws {
        switch fault {
        case .crash(let nodes, _, let power):
            for node in nodes where !isRunning(node) {
                if power { try await network.setPlugged(true, node: node) }
                start(node)
            }
        case .stall(let nodes):
            for node in nodes where isRunning(node) {
                recorder.withLock { $0.wakes(node) }
                agents[node].resume()
            }
        // A matter of links, or over, or refused by the plan.
        default: break
        }
    }

    private func crash(_ agent: ReplayAgent, _ disk: DiskFault, _ power: Bool) async throws {
        guard isRunning(agent.node) else { return }
        // Nobody is told: not a packet leaves a device that has no power.
        if power { try await network.setPlugged(false, node: agent.node) }
        stopFollowing(agent.node)
        recorder.withLock { $0.ends(agent.node) }
        await agent.kill()
        try agent.damage(disk)
    }

    private func withEach(
        _ nodes: [Int],
        _ work: @escaping @Sendable (ReplayAgent) async throws -> Void
    ) async throws {
        try await withThrowingTaskGroup { group in
            for node in nodes {
                let agent = agents[node]
                group.addTask { try await work(agent) }
            }
            try await group.waitForAll()
        }
    }

    // MARK: - Agents

    private func isRunning(_ node: Int) -> Bool { followers.withLock { $0[node] != nil } }

    private func start(_ node: Int) {
        let life = recorder.withLock { $0.starts(node) }
        let agent = agents[node]
        agent.start()
        let follower = Task { [self] in
            await agent.follow { [self] view in
                recorder.withLock { $0.sees(view, of: node, life: life, at: now) }
            }
        }
        followers.withLock { $0[node] = follower }
    }

    private func stopFollowing(_ node: Int) {
        followers.withLock { $0.removeValue(forKey: node) }?.cancel()
    }

    private func endAll() async {
        for agent in agents {
            stopFollowing(agent.node)
            await agent.kill()
        }
    }
}
