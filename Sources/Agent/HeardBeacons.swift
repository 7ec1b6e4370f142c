import Primitives

/// Whose beacons were heard lately, by the address from which they came.
struct HeardBeacons {
    struct Entry: Equatable {
        let address: IPAddress
        /// Where it says that its agent is; nil for another cluster's.
        var endpoint: Endpoint?
        var first: Instant
        var last: Instant
    }

    /// How many addresses are remembered; a network may be full of other people's agents.
    static let limit = 64
    /// How many of them may be others': whoever has no key can send those.
    static let foreignLimit = 32
    /// Whoever was silent for so long is gone: beacons come every 30 s at least.
    static let lifetime: Duration = .seconds(105)

    private(set) var entries: [Entry] = []
    /// Beacons of this agent come back where the network lets them.
    private(set) var hearsItself = false

    mutating func noteOwn() {
        hearsItself = true
    }

    /// - Parameter endpoint: nil for a beacon of another cluster.
    mutating func note(_ endpoint: Endpoint?, from address: IPAddress, at now: Instant) {
        entries.removeAll { now - $0.last > Self.lifetime }
        let isOwnCluster = endpoint != nil
        if let index = entries.firstIndex(where: {
            $0.address == address && ($0.endpoint != nil) == isOwnCluster
                && (!isOwnCluster || $0.endpoint == endpoint)
        }) {
            entries[index].last = now
        } else if entries.count < Self.limit,
            isOwnCluster || entries.count(where: { $0.endpoint == nil }) < Self.foreignLimit
        {
            entries.append(Entry(address: address, endpoint: endpoint, first: now, last: now))
        }
    }

    /// After a change of networks what was heard before says nothing.
    mutating func forget() {
        entries = []
        hearsItself = false
    }
}
