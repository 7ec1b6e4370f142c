#if Mutants
import Synchronization
#endif

/// A fault planted in the product on purpose, to see whether the simulator finds it.
///
/// Only a build with the trait `Mutants` has any: everywhere else `isPlanted` is false for the
/// compiler too, and nothing of them is left in the program.
package enum Mutant: String, CaseIterable, Sendable {
    /// An election record that was stored is not read again.
    case forgetsVote
    /// A second candidate of a term gets a vote as well.
    case votesTwice
    /// A heartbeat of any ballot is obeyed.
    case obeysLowerBallot
    /// A member votes although it hears a live master.
    case unseatsMaster
    /// A master whom no majority answers any more goes on.
    case leaseNeverEnds
    /// Who suspects a member raises its incarnation.
    case raisesOthersIncarnation
    /// News of a member count whatever incarnation they are of.
    case skipsIncarnationCheck
    /// A member that is taken for dead says nothing to it.
    case neverRefutes
    /// A restarted member begins with its first incarnation again.
    case forgetsIncarnation
    /// What must be durable first is done at once.
    case actsBeforeDisk
    /// A worker gives a new master the RPC server of the old one.
    case keepsOldSession
    /// A deposed master leaves its llama-server running.
    case keepsLlamaServer
    /// Members do not keep what the cluster wants.
    case forgetsWanted
    /// A llama-server that goes silent is waited for without limit.
    case waitsForEver
    /// A suspicion never ends in death.
    case neverBuries
    /// One unreadable datagram ends the receiving of all.
    case goesDeaf
    /// Under `quorum` a majority of the members that are seen is enough.
    case countsAllMembers
    /// A voter votes for a candidate with older voters than its own.
    case votesForOldVoters
    /// A master changes several voters at a time, and does not wait until a change is held.
    case changesVotersAtOnce
    /// The voters that were stored are not read again.
    case forgetsVoters
    /// A master that hands over goes on as master.
    case reignsOn

    #if Mutants
    private static let planted = Atomic<Int>(-1)

    private var number: Int { Self.allCases.firstIndex(of: self) ?? -1 }

    package var isPlanted: Bool {
        let current = Self.planted.load(ordering: .relaxed)
        return current >= 0 && current == number
    }

    /// Plants one fault in this whole process, or none.
    package static func plant(_ mutant: Mutant?) {
        planted.store(mutant?.number ?? -1, ordering: .relaxed)
    }
    #else
    @inlinable package var isPlanted: Bool { false }
    #endif
}
