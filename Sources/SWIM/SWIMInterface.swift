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
    /// A datagram of the member arrived, whatever is in it.
    case heard(NodeID)
    /// Something was sent to the member that it answers at once, if it is well.
    case awaits(NodeID)
    /// A probe was answered over a stream.
    case streamAnswered(number: UInt32)
    /// The system of a probe's target took the stream: its host is well, whatever the agent is.
    case streamOpened(number: UInt32)
    /// The system of a probe's target says that nobody listens there.
    case streamRefused(number: UInt32)
    /// Something that looks as if the member were gone; it never is taken for dead by this alone.
    case evidence(SWIMEvidence, about: NodeID)
    /// An idle stream to the member stands, or does not any more.
    case watch(NodeID, stands: Bool)
    case timer(SWIMTimer)
    /// This device has something new to say of itself.
    case facts(DeviceFacts)
    /// This device is reached elsewhere now.
    case moved(to: Endpoint)
    /// Say goodbye: every member hears it; `SWIMEvent.goodbyeSpread` follows.
    case leave
}

/// What looks like a death and may be a restart, a broken path or a moment's silence.
package enum SWIMEvidence: Hashable, Sendable {
    /// The idle stream between the two ended, or was reset.
    case streamEnded
    /// A system said that nobody listens at the member's address.
    case refused
    /// A member that speaks regularly does not any more.
    case silent
}

package enum SWIMTimer: Hashable, Sendable {
    case period
    /// A probe was not answered directly.
    case probeTimeout(UInt32)
    /// A probe was not answered at all.
    case probeFailure(UInt32)
    /// A member that is suspect for a short time only is probed once more.
    case secondLook(NodeID)
    /// A suspect was heard: it is probed, and thereby told of the suspicion.
    case lookAtHeard(NodeID)
    /// Somebody who speaks regularly may have fallen silent.
    case silence
    /// A relay gives up on an indirect probe and says so.
    case relayTimeout(UInt32)
    case gossip
    case sync
    case reconnect
    case seeds
    case suspicion(NodeID)
    case goodbye
}

extension SWIMTimer: TimerName {
    package static var slotCount: Int { 7 }

    package var slot: Int? {
        switch self {
        case .period: 0
        case .silence: 1
        case .gossip: 2
        case .sync: 3
        case .reconnect: 4
        case .seeds: 5
        case .goodbye: 6
        case .probeTimeout, .probeFailure, .secondLook, .lookAtHeard, .relayTimeout, .suspicion:
            nil
        }
    }
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
