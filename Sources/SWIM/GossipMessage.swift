package import Primitives

/// What members say to each other about being alive.
package enum GossipMessage: Equatable, Sendable {
    /// A direct probe (SWIM §3.1). Answered by an `ack` of the same number if `target` is met.
    case ping(number: UInt32, target: NodeID)
    case ack(number: UInt32)
    /// Asks the receiver to probe the target on the sender's behalf (SWIM §3.1).
    case pingRequest(number: UInt32, target: NodeID, endpoint: Endpoint)
    /// The relay could not reach the target in time, but is itself well (Lifeguard §3.1).
    case nack(number: UInt32)
    /// A piece of gossip, riding on any datagram.
    case update(MemberUpdate)
    /// What the sender believes of everybody who is present, in a number.
    case digest(UInt32)

    /// The size of the message as Protocols/gossip.md lays it out, length prefix included.
    package var byteCount: Int {
        let head = 2 + 1
        switch self {
        case .ping: return head + 4 + NodeID.byteCount
        case .ack, .nack, .digest: return head + 4
        case .pingRequest(_, _, let endpoint):
            return head + 4 + NodeID.byteCount + endpoint.wireByteCount
        case .update(let update): return head + update.byteCount
        }
    }
}
