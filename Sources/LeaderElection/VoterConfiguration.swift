package import Primitives

/// Which state of a cluster's voters is meant; within a cluster, the higher (term, version) is the
/// newer one.
package struct ConfigurationID: Hashable, Sendable {
    /// The node that founded the cluster: configurations of two clusters are never compared.
    package let founder: NodeID
    /// The term of the master that made it, or made it its own.
    package let term: UInt64
    /// Counts up with every change.
    package let version: UInt32

    package init(founder: NodeID, term: UInt64, version: UInt32) {
        self.founder = founder
        self.term = term
        self.version = version
    }

    package func isNewer(than other: Self) -> Bool {
        founder == other.founder && (term, version) > (other.term, other.version)
    }
}

/// Who decides under the policy `quorum`: a set, not a count.
///
/// A count could not keep two quorums apart once more devices exist than were expected. One voter
/// at a time is added or removed, and each change is held by a quorum before the next, so that
/// quorums of neighbouring configurations always share a member (Schultz, Dardik, Tripakis, Design
/// and Analysis of a Logless Dynamic Reconfiguration Protocol, OPODIS 2021).
package struct VoterConfiguration: Hashable, Sendable {
    package static let voterLimit = 5

    package let id: ConfigurationID
    /// Sorted, each once; never empty.
    package let voters: [NodeID]

    /// Nil if the voters are none, too many, doubled or not sorted.
    package init?(id: ConfigurationID, voters: [NodeID]) {
        guard 1...Self.voterLimit ~= voters.count,
            zip(voters, voters.dropFirst()).allSatisfy({ $0 < $1 })
        else { return nil }
        self.id = id
        self.voters = voters
    }

    private init(sorting voters: [NodeID], _ id: ConfigurationID) {
        self.id = id
        self.voters = voters.sorted()
    }

    /// A cluster's first configuration.
    package init(foundedBy node: NodeID) {
        id = ConfigurationID(founder: node, term: 0, version: 1)
        voters = [node]
    }

    package var majority: Int { voters.count / 2 + 1 }

    package func contains(_ node: NodeID) -> Bool {
        voters.contains(node)
    }

    package func isMajority(_ nodes: [NodeID]) -> Bool {
        voters.count(where: nodes.contains) >= majority
    }

    /// The same voters, made a new master's own.
    func restamped(term: UInt64) -> Self {
        Self(
            sorting: voters,
            ConfigurationID(founder: id.founder, term: term, version: id.version)
        )
    }

    /// The next configuration, with other voters.
    func next(voters: [NodeID], term: UInt64) -> Self {
        Self(
            sorting: voters,
            ConfigurationID(founder: id.founder, term: term, version: id.version + 1)
        )
    }

    /// Whether every majority of the one shares a member with every majority of the other.
    package static func quorumsIntersect(_ first: Self, _ second: Self) -> Bool {
        let all = first.voters.count + second.voters.count(where: { !first.contains($0) })
        return first.majority + second.majority > all
    }
}
