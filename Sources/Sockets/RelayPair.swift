internal import EventLoop
internal import SecureChannel

/// One of the two connections of a pair.
package enum RelaySide: CaseIterable, Sendable {
    case first
    case second

    package var other: RelaySide {
        switch self {
        case .first: .second
        case .second: .first
        }
    }
}

/// The keys of a sealed connection of a pair.
///
/// A class, so that records that wait for their rest are not copied with the pair's ends.
final class RelaySeal {
    var records: RecordLayer

    init(_ records: RecordLayer) {
        self.records = records
    }
}

/// Two connections that are joined, on the relay's thread.
final class RelayPair {
    struct End {
        var socket: Socket
        var token: WatchToken?
        var interest: PollInterest = []
        /// Nil where bytes travel as they are.
        var seal: RelaySeal?

        var number: Int32 { socket.descriptor }
    }

    var first: End
    var second: End
    var fromFirst: RelayDirection
    var toFirst: RelayDirection
    /// Set until the second side is asked for; nil for pairs whose sides both stand.
    var opening: RelayOpening?
    /// Set while the second side connects.
    var connectTimer: LoopTimer?
    var checkTimer: LoopTimer?
    let options: RelayOptions
    private(set) var filter: (any RelayFilter)?
    let onEnd: (@Sendable (RelayResult) -> Void)?

    /// - Parameter fromFirst: bytes that were read already, opened; `toFirst` are sealed.
    init(
        _ first: Socket,
        _ second: Socket,
        fromFirst: [UInt8],
        toFirst: [UInt8],
        _ options: RelayOptions,
        _ onEnd: (@Sendable (RelayResult) -> Void)?
    ) {
        self.first = End(socket: first, seal: options.firstRecords.map(RelaySeal.init))
        self.second = End(socket: second, seal: options.secondRecords.map(RelaySeal.init))
        self.options = options
        filter = options.makeFilter?()
        self.fromFirst = RelayDirection(first: fromFirst)
        self.toFirst = RelayDirection(first: toFirst)
        self.onEnd = onEnd
    }

    /// From now on what goes to the second side meets this filter after the one before.
    func add(_ new: any RelayFilter) {
        filter = filter.map { RelayFilterChain([$0, new]) } ?? new
    }

    subscript(side: RelaySide) -> End {
        get {
            switch side {
            case .first: first
            case .second: second
            }
        }
        set {
            switch side {
            case .first: first = newValue
            case .second: second = newValue
            }
        }
    }

    subscript(from side: RelaySide) -> RelayDirection {
        get {
            switch side {
            case .first: fromFirst
            case .second: toFirst
            }
        }
        set {
            switch side {
            case .first: fromFirst = newValue
            case .second: toFirst = newValue
            }
        }
    }

    /// What would let the pair go on at this side.
    func interest(of side: RelaySide) -> PollInterest {
        var interest: PollInterest = []
        // What waits for the second side to be opened is not sealed yet, and bounded so.
        if side == .first, opening?.waiting.isEmpty == false { return interest }
        if self[from: side].wantsRead { interest.insert(.readable) }
        if self[from: side.other].wantsWrite { interest.insert(.writable) }
        return interest
    }
}
