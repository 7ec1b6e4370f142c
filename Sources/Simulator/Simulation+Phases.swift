import LeaderElection
import Primitives
import Runtime
import SWIM

// How long it takes after each change of the faults until all is well.
extension Simulation {
    /// As often as an agent tells of changes.
    private static let phaseInterval: Duration = .milliseconds(50)

    func lookAtPhases() {
        phases?.look(
            judgedNodes,
            isComplete: true,
            by: SideJudge(hasOutsiders: scenario.liveness.core != nil) { [network] from, to in
                network.isOpen(from: from, to: to)
            },
            name: name,
            at: .nanoseconds(now)
        )
        outside(after: Self.phaseInterval) { [unowned self] in lookAtPhases() }
    }

    func recordPhase(_ fault: Fault, _ number: Int, begins: Bool) {
        phases?.change(
            fault: number,
            begins: begins,
            caption: fault.caption(nodeCount: hosts.count),
            at: .nanoseconds(now)
        )
    }

    /// What the nodes of which anything is demanded say now.
    private var judgedNodes: [SideJudge.Node] {
        hosts.compactMap { host in
            guard !host.isStalled, scenario.liveness.core?.contains(host.index) ?? true,
                let loop = host.loop, let core = host.core
            else { return nil }
            var found: CoreSnapshot?
            loop.run { found = core.snapshot() }
            return found.map { snapshot in
                SideJudge.Node(
                    index: host.index,
                    id: host.identity,
                    master: snapshot.master,
                    present: snapshot.view.filter(\.state.isPresent).map(\.id),
                    voters: snapshot.policy == .quorum ? snapshot.voters?.voters : nil
                )
            }
        }
    }
}
