internal import EventLoop

/// One of the two connections of a pair.
enum RelaySide: CaseIterable {
    case first
    case second

    var other: RelaySide {
        switch self {
        case .first: .second
        case .second: .first
        }
    }
}

/// Two connections that are joined, on the relay's thread.
final class RelayPair {
    struct End {
        var socket: Socket
        var token: WatchToken?
        var interest: PollInterest = []

        var number: Int32 { socket.descriptor }
    }

    var first: End
    var second: End
    var fromFirst: RelayDirection
    var toFirst: RelayDirection
    /// Set while the second side connects.
    var connectTimer: LoopTimer?
    let onEnd: (@Sendable (RelayResult) -> Void)?

    init(
        _ first: Socket,
        _ second: Socket,
        fromFirst: [UInt8],
        toFirst: [UInt8],
        _ onEnd: (@Sendable (RelayResult) -> Void)?
    ) {
        self.first = End(socket: first)
        self.second = End(socket: second)
        self.fromFirst = RelayDirection(first: fromFirst)
        self.toFirst = RelayDirection(first: toFirst)
        self.onEnd = onEnd
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
        if self[from: side].wantsRead { interest.insert(.readable) }
        if self[from: side.other].wantsWrite { interest.insert(.writable) }
        return interest
    }
}
