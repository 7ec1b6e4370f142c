package import Primitives

/// What members say to each other about who is master.
package enum ElectionMessage: Equatable, Sendable {
    /// Would you vote for this ballot? Burns no term (Raft §9.6).
    case preVoteRequest(Ballot)
    case preVoteReply(VoteReply)
    case voteRequest(Ballot)
    case voteReply(VoteReply)
    case heartbeat(Heartbeat)
    case heartbeatReply(HeartbeatReply)
    /// The master of the ballot stops being it; nobody needs to wait for its lease to end.
    case resign(Ballot)

    /// An answer to a request for a vote, which always tells the voter's term.
    package struct VoteReply: Equatable, Sendable {
        /// The ballot that was asked about.
        package var ballot: Ballot
        package var isGranted: Bool
        /// The highest term that the voter knows.
        package var term: UInt64

        package init(ballot: Ballot, isGranted: Bool, term: UInt64) {
            self.ballot = ballot
            self.isGranted = isGranted
            self.term = term
        }
    }

    /// What a master says again and again: that it is master.
    package struct Heartbeat: Equatable, Sendable {
        package var ballot: Ballot
        /// Counts up within the ballot; an answer names it, because the lease counts from the
        /// sending of what was answered.
        package var sequence: UInt32
        /// What would be lost if this master gave way to another.
        package var weight: MasterWeight

        package init(ballot: Ballot, sequence: UInt32, weight: MasterWeight) {
            self.ballot = ballot
            self.sequence = sequence
            self.weight = weight
        }
    }

    package struct HeartbeatReply: Equatable, Sendable {
        /// The heartbeat's.
        package var ballot: Ballot
        package var sequence: UInt32
        package var isObeyed: Bool
        /// The highest term that the member knows; above the heartbeat's if it refuses.
        package var term: UInt64

        package init(ballot: Ballot, sequence: UInt32, isObeyed: Bool, term: UInt64) {
            self.ballot = ballot
            self.sequence = sequence
            self.isObeyed = isObeyed
            self.term = term
        }
    }
}

/// Which of two masters gives way when sides that were apart meet: the one with less to lose.
///
/// Without it the higher term would win, and a device that was alone for an hour (and elected
/// itself again and again) would take the cluster over and end its running model.
package struct MasterWeight: Comparable, Hashable, Sendable {
    /// Whether a model is loaded or being loaded.
    package var isServing: Bool
    /// How many members obey it, itself included.
    package var followerCount: UInt16

    package init(isServing: Bool, followerCount: UInt16) {
        self.isServing = isServing
        self.followerCount = followerCount
    }

    package static func < (left: Self, right: Self) -> Bool {
        (left.isServing ? 1 : 0, left.followerCount)
            < (right.isServing ? 1 : 0, right.followerCount)
    }
}

/// What must survive a restart: it is on disk before any message that depends on it leaves.
package struct ElectionRecord: Equatable, Sendable {
    /// The highest term known.
    package var term: UInt64
    /// Whom this member voted for in `term`.
    package var vote: NodeID?
    /// The highest ballot that this member obeyed.
    package var obeyed: Ballot?

    package init(term: UInt64 = 0, vote: NodeID? = nil, obeyed: Ballot? = nil) {
        self.term = term
        self.vote = vote
        self.obeyed = obeyed
    }
}

/// How good a master a member would be; the higher, the sooner it stands.
package struct Standing: Comparable, Hashable, Sendable {
    /// Whether it has the model that the cluster wants; true while none is wanted.
    package var holdsWantedModel: Bool
    /// Whether it has a llama-server at all.
    package var hasEngine: Bool
    package var node: NodeID

    package init(holdsWantedModel: Bool, hasEngine: Bool, node: NodeID) {
        self.holdsWantedModel = holdsWantedModel
        self.hasEngine = hasEngine
        self.node = node
    }

    package static func < (left: Self, right: Self) -> Bool {
        (left.hasEngine ? 1 : 0, left.holdsWantedModel ? 1 : 0, left.node)
            < (right.hasEngine ? 1 : 0, right.holdsWantedModel ? 1 : 0, right.node)
    }
}

package struct ElectionConfiguration: Sendable, Equatable {
    package var heartbeatInterval: Duration = .milliseconds(500)
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
    case timer(ElectionTimer)
}

package enum ElectionTimer: Hashable, Sendable {
    /// Nobody spoke as master for too long.
    case election
    case vote
    case heartbeat
    case lease
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
    /// The master fell silent.
    case masterLost(Ballot)
    /// A candidacy began.
    case stands(Ballot)
    /// Two masters under one ballot: somebody's disk or clock lies.
    case ballotConflict(Ballot)
}

package enum DepositionReason: String, Sendable {
    /// Too few members answered in time.
    case leaseExpired
    /// Another master has more to lose.
    case gaveWay
    /// Another ballot, higher than ours, is obeyed by this cluster.
    case superseded
    case resigned
}
