package import Primitives

/// What is believed of a member.
package enum MemberState: UInt8, Sendable, Comparable, CaseIterable {
    case alive = 0
    case suspect = 1
    case dead = 2
    /// It said goodbye; never an accusation.
    case left = 3

    package static func < (left: Self, right: Self) -> Bool {
        left.rawValue < right.rawValue
    }

    /// Whether the member takes part: is probed, votes, works.
    package var isPresent: Bool { self <= .suspect }
}

/// One agent of the cluster, as this agent sees it.
@usableFromInline package struct Member: Equatable, Sendable {
    package let id: NodeID
    package internal(set) var endpoint: Endpoint
    package internal(set) var state: MemberState
    /// Raised by its owner alone, to refute what is said of it.
    package internal(set) var incarnation: UInt64
    /// The incarnation in which the facts were stated; with `factsVersion` it orders facts, whose
    /// news may come before or after the news of the state.
    var factsIncarnation: UInt64
    /// Raised by its owner with every change of facts within one incarnation.
    package internal(set) var factsVersion: UInt32
    package internal(set) var facts: DeviceFacts
    /// Since when the state holds, on this agent's clock.
    package internal(set) var since: Instant

    package init(
        id: NodeID,
        endpoint: Endpoint,
        state: MemberState = .alive,
        incarnation: UInt64,
        factsVersion: UInt32 = 0,
        facts: DeviceFacts,
        since: Instant = .origin
    ) {
        self.id = id
        self.endpoint = endpoint
        self.state = state
        self.incarnation = incarnation
        factsIncarnation = incarnation
        self.factsVersion = factsVersion
        self.facts = facts
        self.since = since
    }
}

/// A piece of gossip: what somebody believes of a member.
///
/// Beliefs form a join: of two, the one with the higher (incarnation, state) holds, whatever the
/// order in which they arrive.
package struct MemberUpdate: Equatable, Sendable {
    package var id: NodeID
    package var incarnation: UInt64
    package var belief: Belief

    package enum Belief: Equatable, Sendable {
        /// Stated by the member itself, with all that it says of itself.
        case alive(endpoint: Endpoint, factsVersion: UInt32, facts: DeviceFacts)
        /// It did not answer the accuser.
        case suspect(accuser: NodeID)
        /// It was suspected for too long.
        case dead(accuser: NodeID)
        /// It said goodbye.
        case left
    }

    package init(id: NodeID, incarnation: UInt64, belief: Belief) {
        self.id = id
        self.incarnation = incarnation
        self.belief = belief
    }

    package var state: MemberState {
        switch belief {
        case .alive: .alive
        case .suspect: .suspect
        case .dead: .dead
        case .left: .left
        }
    }

    /// The size of the update as Protocols/gossip.md lays it out, without its length prefix.
    package var byteCount: Int {
        let head = 1 + NodeID.byteCount + 8
        switch belief {
        case .alive(let endpoint, _, let facts):
            return head + endpoint.wireByteCount + 4 + 2 + facts.wireByteCount
        case .suspect, .dead: return head + NodeID.byteCount
        case .left: return head
        }
    }
}

extension Endpoint {
    /// Family, address and port.
    package var wireByteCount: Int {
        switch address {
        case .v4: 1 + 4 + 2
        case .v6: 1 + 16 + 2
        }
    }
}

extension DeviceFacts {
    /// Two strings with a length byte, two amounts, two ports, a count byte and the models; then
    /// the condition with a string of its own, the policy, a count byte and the gaps; last the
    /// vocabulary, if there is one to tell of.
    package var wireByteCount: Int {
        if let encodedByteCount { return encodedByteCount }
        let first = 1 + name.utf8.count + 16 + 4 + 1 + engine.utf8.count + 1 + 8 * models.count
        return first + 10 + 1 + condition.accelerators.utf8.count + 1 + 1 + 5 * gaps.count
            + (vocabulary == .first ? 0 : 1)
    }
}
