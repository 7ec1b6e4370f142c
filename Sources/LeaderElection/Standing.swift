package import Primitives

/// How good a master a member would be; the higher, the sooner it stands.
///
/// A better-ranked newcomer never unseats a working master: this only orders who stands first
/// when there is none, who gets a mastership that is given up, and who becomes a voter.
package struct Standing: Comparable, Hashable, Sendable {
    package var node: NodeID
    /// Whether it takes work at all; false for a device that is drained.
    package var takesWork: Bool
    /// Whether it has a llama-server at all.
    package var hasEngine: Bool
    /// Whether it exchanges streams with every other member that could be a worker.
    package var reachesEveryWorker: Bool
    /// Whether it has the model that the cluster wants; true while none is wanted.
    package var holdsWantedModel: Bool
    package var isOnMains: Bool
    /// For how long it has been up, roughly: views of it differ by seconds, and must agree.
    package var uptime: UptimeStep
    /// How it elects, which is no part of its rank; nil if it does not say.
    package var policy: ElectionPolicy?
    /// Whether it understands beats, which is no part of its rank either.
    package var hearsBeats: Bool

    package init(
        holdsWantedModel: Bool,
        hasEngine: Bool,
        node: NodeID,
        takesWork: Bool = true,
        reachesEveryWorker: Bool = true,
        isOnMains: Bool = true,
        uptime: UptimeStep = UptimeStep(0),
        policy: ElectionPolicy? = nil,
        hearsBeats: Bool = false
    ) {
        self.takesWork = takesWork
        self.hasEngine = hasEngine
        self.reachesEveryWorker = reachesEveryWorker
        self.holdsWantedModel = holdsWantedModel
        self.isOnMains = isOnMains
        self.uptime = uptime
        self.node = node
        self.policy = policy
        self.hearsBeats = hearsBeats
    }

    package static func < (left: Self, right: Self) -> Bool {
        guard left.rank == right.rank else { return left.rank < right.rank }
        return left.node < right.node
    }

    /// Uptime is the last word before the node's id, and the others weigh more the earlier they
    /// are named.
    private var rank: UInt32 {
        var rank: UInt32 = takesWork ? 1 : 0
        rank = rank << 1 | (hasEngine ? 1 : 0)
        rank = rank << 1 | (reachesEveryWorker ? 1 : 0)
        rank = rank << 1 | (holdsWantedModel ? 1 : 0)
        rank = rank << 1 | (isOnMains ? 1 : 0)
        return rank << 8 | UInt32(uptime.rawValue)
    }
}
