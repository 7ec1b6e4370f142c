package import Primitives

/// How handing mastership over ended.
package struct TransferOutcome: Equatable, Sendable {
    /// Nil if nobody was found to take over.
    package var target: NodeID?
    package var result: Result

    package enum Result: Equatable, Sendable {
        /// The target is master, under this ballot.
        case done(Ballot)
        /// Nothing has changed.
        case refused(TransferRefusal)
        /// The target had agreed, and then somebody else was elected.
        case otherElected(Ballot)
        /// The target had agreed, and then nobody was heard of as master in time.
        case nobodyElected
    }

    package init(target: NodeID?, result: Result) {
        self.target = target
        self.result = result
    }
}

/// Why mastership was not handed over.
package enum TransferRefusal: String, Sendable, CaseIterable {
    /// This member is not the master.
    case notMaster
    /// The target is the master already.
    case alreadyMaster
    case unknownMember
    /// It does not answer the master's heartbeats, or did not answer the offer.
    case silent
    case hasNoEngine
    case lacksModel
    case takesNoWork
    case justStarted
    /// It obeys another master, or this one obeys no ballot that both know.
    case obeysOther
    /// It could not be made a voter in time.
    case notAdmitted
    /// Another transfer is under way.
    case busy
    /// Nobody else could be master.
    case nobodyElse
    /// The master lost its mastership before the target had answered.
    case deposed
}

/// A transfer that this master is about to make.
struct Transfer: Equatable, Sendable {
    var target: NodeID
    let began: Instant
    /// Any fit member will do; these were asked.
    var isYielding = false
    var tried: [NodeID] = []
}

/// Mastership that this member gave up for somebody else.
struct HandedOver: Equatable, Sendable {
    let ballot: Ballot
    let target: NodeID
    let until: Instant
}
