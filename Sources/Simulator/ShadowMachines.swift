import LayerPlacement
import LeaderElection
import Primitives
import Runtime
import SWIM

/// A second set of one agent's machines: plain structs, driven directly with what the actors were
/// given.
///
/// Each judges the other: the first effect in which they differ is a violation of `shadow`. What
/// could make them differ is an actor that touches its machine's state, a rule that lives in an
/// actor, or a machine that depends on more than its inputs (the order of a hash table, a clock,
/// chance that was not passed in).
final class ShadowMachines: MachineWitness, @unchecked Sendable {
    private unowned let host: SimulatedHost
    private var swim: SWIMMachine?
    private var election: ElectionMachine?
    private var launch: LaunchMachine?
    private var worker: WorkerMachine?

    init(host: SimulatedHost) {
        self.host = host
    }

    func begins(
        swim: SWIMMachine,
        election: ElectionMachine,
        launch: LaunchMachine,
        worker: WorkerMachine
    ) {
        self.swim = swim
        self.election = election
        self.launch = launch
        self.worker = worker
    }

    func handled(_ input: SWIMInput, at now: Instant, effects: [SWIMEffect]) {
        var own: [SWIMEffect] = []
        swim?.handle(input, at: now, effects: &own)
        compare(own, effects, "SWIM", input)
    }

    func handled(_ input: ElectionInput, at now: Instant, effects: [ElectionEffect]) {
        var own: [ElectionEffect] = []
        election?.handle(input, at: now, effects: &own)
        compare(own, effects, "election", input)
    }

    func handled(_ input: LaunchInput, at now: Instant, effects: [LaunchEffect]) {
        var own: [LaunchEffect] = []
        launch?.handle(input, at: now, effects: &own)
        compare(own, effects, "launch", input)
    }

    func handled(_ input: WorkerInput, at now: Instant, effects: [WorkerEffect]) {
        var own: [WorkerEffect] = []
        worker?.handle(input, at: now, effects: &own)
        compare(own, effects, "worker", input)
    }

    private func compare<Effect: Equatable>(
        _ own: [Effect],
        _ carried: [Effect],
        _ machine: String,
        _ input: some Any
    ) {
        guard own != carried else { return }
        let index = zip(own, carried).enumerated().first { $1.0 != $1.1 }?.offset
        let place = index ?? min(own.count, carried.count)
        host.simulation.report(
            "shadow",
            "the \(machine) machine of \(host.name), driven directly with \(input), differs in "
                + "effect \(place) from the one that its actor carries: "
                + "\(Self.text(own, place)) against \(Self.text(carried, place))"
        )
    }

    private static func text(_ effects: [some Any], _ place: Int) -> String {
        effects.indices.contains(place) ? "\(effects[place])" : "nothing"
    }
}
