package import LayerPlacement
package import LeaderElection
package import Primitives

/// What an agent must remember across restarts; small, kept whole in one file.
package struct DurableRecord: Equatable, Sendable {
    /// The highest incarnation used.
    package var incarnation: UInt64
    package var election: ElectionRecord
    package var wanted: WantedState
    /// Where other members were last seen; to find the cluster again without a seed.
    package var peers: [Endpoint]
    /// Whether the device takes no work until somebody says otherwise.
    package var isDrained: Bool

    package static let peerLimit = 32

    package init(
        incarnation: UInt64 = 0,
        election: ElectionRecord = ElectionRecord(),
        wanted: WantedState = WantedState(),
        peers: [Endpoint] = [],
        isDrained: Bool = false
    ) {
        self.incarnation = incarnation
        self.election = election
        self.wanted = wanted
        self.peers = Array(peers.prefix(Self.peerLimit))
        self.isDrained = isDrained
    }
}
