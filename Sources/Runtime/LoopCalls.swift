import EventLoop
import LayerPlacement
import LeaderElection
package import Primitives
import SWIM
package import Wire

// What one actor asks of another with every datagram, and what their timers ask.
//
// `assumeIsolated` does the same, but finds out by way of the Swift runtime that the actor's loop
// runs, and allocates a thunk: a sixth of the instructions of a simulated run. Here the loop is
// asked itself, and what is called holds nothing. The cast is the one within `assumeIsolated`, and
// sound for the same reason. One by one: a generic function would wrap what it is to call, and
// allocate that again.

private func mustRun(_ loop: any AgentLoop) {
    precondition(loop.isCurrent, "this must run on the agent's loop")
}

extension Membership {
    /// Takes a datagram that was decoded already.
    package nonisolated func receive(_ datagram: Datagram, from source: Endpoint) {
        mustRun(world.loop)
        let call: (isolated Membership, Datagram, Endpoint) -> Void = { $0.take($1, from: $2) }
        unsafe unsafeBitCast(call, to: ((Membership, Datagram, Endpoint) -> Void).self)(
            self,
            datagram,
            source
        )
    }

    /// Sends a message of another actor to a member; who is unknown or gone gets none.
    nonisolated func post(_ message: Message, to node: NodeID) {
        mustRun(world.loop)
        let call: (isolated Membership, Message, NodeID) -> Void = { $0.send($1, to: $2) }
        unsafe unsafeBitCast(call, to: ((Membership, Message, NodeID) -> Void).self)(
            self,
            message,
            node
        )
    }

    /// Sends a message of another actor to every present member.
    nonisolated func postToAll(_ message: Message) {
        mustRun(world.loop)
        let call: (isolated Membership, Message) -> Void = { $0.broadcast($1) }
        unsafe unsafeBitCast(call, to: ((Membership, Message) -> Void).self)(self, message)
    }

    /// A timer is due.
    nonisolated func isDue(_ timer: SWIMTimer) {
        mustRun(world.loop)
        let call: (isolated Membership, SWIMTimer) -> Void = { $0.fired($1) }
        unsafe unsafeBitCast(call, to: ((Membership, SWIMTimer) -> Void).self)(self, timer)
    }

    /// This agent, as it presents itself.
    nonisolated func currentOwn() -> Member {
        mustRun(world.loop)
        let call: (isolated Membership) -> Member = { $0.machine.own }
        return unsafe unsafeBitCast(call, to: ((Membership) -> Member).self)(self)
    }

    /// The other members.
    nonisolated func currentOthers() -> MemberTable {
        mustRun(world.loop)
        let call: (isolated Membership) -> MemberTable = { $0.machine.others }
        return unsafe unsafeBitCast(call, to: ((Membership) -> MemberTable).self)(self)
    }
}

extension Election {
    /// Takes a message of a member that takes part.
    nonisolated func take(_ message: ElectionMessage, from sender: NodeID) {
        mustRun(world.loop)
        let call: (isolated Election, ElectionMessage, NodeID) -> Void = {
            $0.receive($1, from: $2)
        }
        unsafe unsafeBitCast(call, to: ((Election, ElectionMessage, NodeID) -> Void).self)(
            self,
            message,
            sender
        )
    }

    /// A timer is due.
    nonisolated func isDue(_ timer: ElectionTimer) {
        mustRun(world.loop)
        let call: (isolated Election, ElectionTimer) -> Void = { $0.fired($1) }
        unsafe unsafeBitCast(call, to: ((Election, ElectionTimer) -> Void).self)(self, timer)
    }

    /// Who elects masters, under the policy `quorum`.
    nonisolated func currentVoters() -> VoterConfiguration? {
        mustRun(world.loop)
        let call: (isolated Election) -> VoterConfiguration? = { $0.machine.record.configuration }
        return unsafe unsafeBitCast(call, to: ((Election) -> VoterConfiguration?).self)(self)
    }
}

extension Placement {
    /// Takes a message of a member that takes part.
    nonisolated func take(_ message: PlacementMessage, from sender: NodeID) {
        mustRun(world.loop)
        let call: (isolated Placement, PlacementMessage, NodeID) -> Void = {
            $0.receive($1, from: $2)
        }
        unsafe unsafeBitCast(call, to: ((Placement, PlacementMessage, NodeID) -> Void).self)(
            self,
            message,
            sender
        )
    }

    /// A timer is due.
    nonisolated func isDue(_ timer: LaunchTimer) {
        mustRun(world.loop)
        let call: (isolated Placement, LaunchTimer) -> Void = { $0.fired($1) }
        unsafe unsafeBitCast(call, to: ((Placement, LaunchTimer) -> Void).self)(self, timer)
    }

    /// A timer is due.
    nonisolated func isDue(_ timer: WorkerTimer) {
        mustRun(world.loop)
        let call: (isolated Placement, WorkerTimer) -> Void = { $0.fired($1) }
        unsafe unsafeBitCast(call, to: ((Placement, WorkerTimer) -> Void).self)(self, timer)
    }

    /// The ballot that this member obeys.
    nonisolated func currentlyObeyed() -> Ballot? {
        mustRun(world.loop)
        let call: (isolated Placement) -> Ballot? = { $0.obeyed }
        return unsafe unsafeBitCast(call, to: ((Placement) -> Ballot?).self)(self)
    }
}
