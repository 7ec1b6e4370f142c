package import Primitives

/// What must survive a restart: it is on disk before any message that depends on it leaves.
package struct ElectionRecord: Equatable, Sendable {
    /// The highest term known.
    package var term: UInt64
    /// Whom this member voted for in `term`.
    package var vote: NodeID?
    /// The highest ballot that this member obeyed.
    package var obeyed: Ballot?
    /// The newest voters known, under the policy `quorum`; nil for a device of no cluster yet.
    package var configuration: VoterConfiguration?

    package init(
        term: UInt64 = 0,
        vote: NodeID? = nil,
        obeyed: Ballot? = nil,
        configuration: VoterConfiguration? = nil
    ) {
        self.term = term
        self.vote = vote
        self.obeyed = obeyed
        self.configuration = configuration
    }
}

package struct ElectionConfiguration: Sendable, Equatable {
    /// The same for all agents of a cluster.
    package var policy = ElectionPolicy.available
    /// Two of them may get lost before a follower gives its master up, and one before the lease
    /// ends, if answers take less than 300 ms.
    package var heartbeatInterval: Duration = .milliseconds(600)
    /// How long the answers to a heartbeat let its sender be master, from its sending on.
    package var lease: Duration = .milliseconds(1500)
    /// How long nobody stands after the last word of a master; also the quiet time of a voter
    /// after its own restart, because it has forgotten which leases it gave.
    package var minimumTimeout: Duration = .seconds(2)
    /// Within this time after `minimumTimeout` everybody has stood, best rank first.
    package var rankSpread: Duration = .seconds(2)
    /// How long members that appear do not count for a reigning master's lease unless they obey:
    /// they may come with a master of their own, who needs time to give way.
    package var newcomerGrace: Duration = .seconds(5)
    /// How long a candidate waits for votes before it tries again.
    package var voteTimeout: Duration = .milliseconds(800)
    /// How long a voter may be silent before another takes its place (policy `quorum`).
    package var absenceLimit: Duration = .seconds(300)
    /// How long a device must have been there to become a voter (policy `quorum`).
    package var steadyTime: Duration = .seconds(10)
    /// How long a transfer may take until the target has said that it takes over.
    package var transferLimit: Duration = .seconds(5)
    /// How long others wait for the one to whom mastership was handed over.
    package var heirGrace: Duration = .seconds(2)

    package init() {}
}

package enum ElectionInput: Equatable, Sendable {
    case start
    case message(ElectionMessage, from: NodeID)
    /// Who takes part, this member included, sorted by id.
    case members([Standing])
    /// What this member would lose as a master.
    case serving(Bool)
    /// Give up being master, or standing for it, for good.
    case resign
    /// Found a cluster with this member as its only voter (policy `quorum`).
    case found
    /// Hand mastership over to the member; `transferEnded` follows, always.
    case transfer(to: NodeID)
    /// Hand mastership over to whoever is best, if this member is master; `transferEnded` follows.
    case yield
    /// Prepare to go: give up mastership and the vote; `mayLeave` follows.
    case leave
    case timer(ElectionTimer)
}

package enum ElectionTimer: Hashable, Sendable {
    /// Nobody spoke as master for too long.
    case election
    case vote
    case heartbeat
    case lease
    /// A transfer goes on, or is given up.
    case transfer
    /// Who wants to leave asks again.
    case release
}

extension ElectionTimer: TimerName {
    package static var slotCount: Int { 6 }

    package var slot: Int? {
        switch self {
        case .election: 0
        case .vote: 1
        case .heartbeat: 2
        case .lease: 3
        case .transfer: 4
        case .release: 5
        }
    }
}

package enum ElectionEffect: Equatable, Sendable {
    case send(ElectionMessage, to: NodeID)
    /// The record must be on disk before the effects that follow are performed.
    case persist(ElectionRecord)
    case setTimer(ElectionTimer, after: Duration)
    case cancelTimer(ElectionTimer)
    case emit(ElectionEvent)
}

package enum ElectionEvent: Equatable, Sendable {
    /// This member is master from now on.
    case elected(Ballot)
    /// Still master, under a higher ballot.
    case renewed(Ballot)
    /// No longer master.
    case deposed(Ballot, DepositionReason)
    /// This member obeys the master from now on.
    case obeys(Ballot)
    /// The master fell silent, or gave up.
    case masterLost(Ballot, MasterLoss)
    /// A candidacy began.
    case stands(Ballot)
    /// Two masters under one ballot, or under `quorum` in one term: somebody's disk or clock lies.
    case ballotConflict(Ballot)
    /// This member founded a cluster.
    case founded(VoterConfiguration)
    /// Other voters than before, or the first that this member knows of.
    case votersChanged(VoterConfiguration)
    /// A member speaks, and cannot be in one cluster with this one.
    case foreign(NodeID, ForeignReason)
    case transferEnded(TransferOutcome)
    /// What `leave` asked for is done, or cannot be done: `isReleased` is false for a voter that
    /// the others could not let go.
    case mayLeave(isReleased: Bool)
}

package enum DepositionReason: String, Sendable {
    /// Too few members answered in time.
    case leaseExpired
    /// Another master has more to lose.
    case gaveWay
    /// Another ballot, higher than ours, is obeyed by this cluster.
    case superseded
    case resigned
    /// It told another member to stand.
    case handedOver
}

package enum MasterLoss: String, Sendable {
    case silent
    case resigned
    case handedOver
}

package enum ForeignReason: Equatable, Sendable {
    /// It runs another policy.
    case otherPolicy
    /// It belongs to a cluster that another device founded.
    case otherCluster(founder: NodeID)
}
