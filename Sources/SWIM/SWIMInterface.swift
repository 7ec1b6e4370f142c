package import Primitives

/// Everything that can happen to a `SWIM` machine.
package enum SWIMInput: Equatable, Sendable {
    /// Begins to probe and to look for the given seeds.
    case start(seeds: [Endpoint])
    /// A message arrived in a datagram of `sender`, whose source address was `source`.
    case message(GossipMessage, from: NodeID, source: Endpoint)
    /// Somebody sent everything it knows, over a stream.
    case synced([MemberUpdate])
    /// A member of the same cluster may be found there (a beacon, a remembered peer).
    case sighted(Endpoint)
    /// A probe was answered over a stream.
    case streamAnswered(number: UInt32)
    case timer(SWIMTimer)
    /// This device has something new to say of itself.
    case facts(DeviceFacts)
    /// This device is reached elsewhere now.
    case moved(to: Endpoint)
    /// Say goodbye: every member hears it; `SWIMEvent.goodbyeSpread` follows.
    case leave
}

package enum SWIMTimer: Hashable, Sendable {
    case period
    case probeTimeout(UInt32)
    /// A relay gives up on an indirect probe and says so.
    case relayTimeout(UInt32)
    case gossip
    case sync
    case reconnect
    case seeds
    case suspicion(NodeID)
    case goodbye
}

package enum SWIMEffect: Equatable, Sendable {
    /// One datagram.
    case send([GossipMessage], to: Endpoint)
    /// Ask over a stream, because a network that drops datagrams must not look like death.
    case streamPing(number: UInt32, target: NodeID, to: Endpoint)
    /// Send everything known over a stream and read everything that the other side knows.
    case sync(to: Endpoint)
    case setTimer(SWIMTimer, after: Duration)
    case cancelTimer(SWIMTimer)
    /// This incarnation must be on disk before what follows is done.
    case persist(incarnation: UInt64)
    case emit(SWIMEvent)
}

package enum SWIMEvent: Equatable, Sendable {
    /// Never seen before, or seen again after it was dead or had left.
    case joined(Member)
    case suspected(Member, accuser: NodeID)
    /// A suspicion was refuted in time.
    case recovered(Member)
    case died(Member, accuser: NodeID)
    case departed(Member)
    case factsChanged(Member)
    /// Somebody said that this agent is suspect, dead or gone; it said otherwise.
    case refuted(incarnation: UInt64)
    /// Forgotten after `tombstoneTimeout`.
    case forgotten(NodeID)
    /// Another agent uses this agent's identity from the address.
    case duplicateIdentity(Endpoint)
    case goodbyeSpread
}
