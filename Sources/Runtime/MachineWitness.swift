package import LayerPlacement
package import LeaderElection
package import Primitives
package import SWIM

/// Hears what an agent's actors give to their machines, and what the machines want done.
///
/// For the simulator, which drives a second set of the same structs directly and compares: an
/// actor that changed its machine behind its back, or a machine that depended on anything but its
/// inputs, would show. Agents on devices have no witness.
package protocol MachineWitness: AnyObject, Sendable {
    /// A new life begins with these machines.
    func begins(
        swim: SWIMMachine,
        election: ElectionMachine,
        launch: LaunchMachine,
        worker: WorkerMachine
    )
    func handled(_ input: SWIMInput, at now: Instant, effects: [SWIMEffect])
    func handled(_ input: ElectionInput, at now: Instant, effects: [ElectionEffect])
    func handled(_ input: LaunchInput, at now: Instant, effects: [LaunchEffect])
    func handled(_ input: WorkerInput, at now: Instant, effects: [WorkerEffect])
}
