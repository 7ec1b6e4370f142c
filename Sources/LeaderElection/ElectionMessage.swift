package import Primitives

/// What members say to each other about who is master.
package enum ElectionMessage: Equatable, Sendable {
    /// Would you vote for this ballot? Burns no term (Raft §9.6).
    case preVoteRequest(VoteRequest)
    case preVoteReply(VoteReply)
    case voteRequest(VoteRequest)
    case voteReply(VoteReply)
    case heartbeat(Heartbeat)
    case heartbeatReply(HeartbeatReply)
    /// A heartbeat in few bytes, to whom understands it (policy `available`).
    case beat(Beat)
    /// The answer to it of a member that obeys and knows no later term.
    case beatObeyed(BeatObeyed)
    /// The master of the ballot stops being it; nobody needs to wait for its lease to end.
    case resign(Ballot)
    /// A newer configuration than the one that the receiver spoke of.
    case configuration(VoterConfiguration)
    /// The master of the ballot asks whether the receiver would take over.
    case transferOffer(Ballot)
    case transferAnswer(TransferAnswer)
    /// The master of the ballot has stopped being it, so that the target can stand at once.
    case handOver(HandOver)
    /// A voter asks the master of the ballot to be let go; the master says the same when it has.
    case release(Ballot)

    package struct VoteRequest: Equatable, Sendable {
        package var ballot: Ballot
        /// The candidate's voters, under the policy `quorum`.
        package var configuration: ConfigurationID?

        package init(_ ballot: Ballot, _ configuration: ConfigurationID? = nil) {
            self.ballot = ballot
            self.configuration = configuration
        }
    }

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
        /// Its voters, under the policy `quorum`.
        package var configuration: VoterConfiguration?

        package init(
            ballot: Ballot,
            sequence: UInt32,
            weight: MasterWeight,
            configuration: VoterConfiguration? = nil
        ) {
            self.ballot = ballot
            self.sequence = sequence
            self.weight = weight
            self.configuration = configuration
        }
    }

    package struct HeartbeatReply: Equatable, Sendable {
        /// The heartbeat's.
        package var ballot: Ballot
        package var sequence: UInt32
        package var isObeyed: Bool
        /// The highest term that the member knows; above the heartbeat's if it refuses.
        package var term: UInt64
        /// The configuration that the member has stored, under the policy `quorum`.
        package var configuration: ConfigurationID?

        package init(
            ballot: Ballot,
            sequence: UInt32,
            isObeyed: Bool,
            term: UInt64,
            configuration: ConfigurationID? = nil
        ) {
            self.ballot = ballot
            self.sequence = sequence
            self.isObeyed = isObeyed
            self.term = term
            self.configuration = configuration
        }
    }

    /// A heartbeat without the ballot's node, who is its sender.
    package struct Beat: Equatable, Sendable {
        package var term: UInt64
        package var sequence: UInt32
        package var weight: MasterWeight

        package init(term: UInt64, sequence: UInt32, weight: MasterWeight) {
            self.term = term
            self.sequence = sequence
            self.weight = weight
        }
    }

    /// Which beat is obeyed.
    ///
    /// The ballot's node is the receiver; its tag is told because another device may have taken
    /// its address meanwhile.
    package struct BeatObeyed: Equatable, Sendable {
        package var term: UInt64
        package var sequence: UInt32
        package var tag: UInt32

        package init(term: UInt64, sequence: UInt32, tag: UInt32) {
            self.term = term
            self.sequence = sequence
            self.tag = tag
        }
    }

    package struct TransferAnswer: Equatable, Sendable {
        /// The offer's.
        package var ballot: Ballot
        package var verdict: Verdict

        package enum Verdict: UInt8, Sendable, CaseIterable {
            /// It stands as soon as the ballot is given up; its disk has just taken a write.
            case accepts = 0
            /// It started moments ago, and does not know yet which leases it gave before.
            case justStarted = 1
            /// It is leaving, or takes no work.
            case takesNoWork = 2
            /// It does not obey the ballot.
            case obeysOther = 3
        }

        package init(ballot: Ballot, verdict: Verdict) {
            self.ballot = ballot
            self.verdict = verdict
        }
    }

    package struct HandOver: Equatable, Sendable {
        /// The ballot that was given up.
        package var ballot: Ballot
        /// Who stands next.
        package var target: NodeID

        package init(ballot: Ballot, target: NodeID) {
            self.ballot = ballot
            self.target = target
        }
    }
}

extension ElectionMessage {
    /// Whether it says that its sender is master, in whichever form; who gets it answers at once.
    package var isHeartbeat: Bool {
        switch self {
        case .heartbeat, .beat: true
        case .preVoteRequest, .preVoteReply, .voteRequest, .voteReply, .heartbeatReply,
            .beatObeyed, .resign, .configuration, .transferOffer, .transferAnswer, .handOver,
            .release:
            false
        }
    }
}
