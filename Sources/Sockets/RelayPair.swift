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

/// Sees the bytes that pass through a pair, opened, and says what goes on.
///
/// Used on the relay's thread only, one call at a time. What it holds back it must bound itself:
/// the relay reads no more from a side while what came from it waits to be written.
package protocol RelayFilter: AnyObject {
    /// Takes bytes read from one side, and appends what each side gets; by rights, to the other
    /// side what came from this one. An error ends the pair.
    func pass(
        _ bytes: ArraySlice<UInt8>,
        from side: RelaySide,
        toFirst: inout [UInt8],
        toSecond: inout [UInt8]
    ) throws(RelayFilterError)

    /// A side has sent all. Appends what is still to be said.
    func ended(
        _ side: RelaySide,
        toFirst: inout [UInt8],
        toSecond: inout [UInt8]
    ) throws(RelayFilterError)

    /// The pair stands. What is called with `wake`, on any thread, makes the relay ask again what
    /// the filter takes and has.
    func begin(wake: @escaping @Sendable () -> Void)

    /// Whether more is read from a side now.
    func takesMore(from side: RelaySide) -> Bool

    /// Whether the filter has something for a side that it did not say in `pass`.
    func hasMore(for side: RelaySide) -> Bool

    /// Everything that was said to a side is written: appends the next of what is for it.
    func goOn(
        for side: RelaySide,
        toFirst: inout [UInt8],
        toSecond: inout [UInt8]
    ) throws(RelayFilterError)
}

extension RelayFilter {
    package func begin(wake: @escaping @Sendable () -> Void) {}
    package func takesMore(from side: RelaySide) -> Bool { true }
    package func hasMore(for side: RelaySide) -> Bool { false }
    package func goOn(
        for side: RelaySide,
        toFirst: inout [UInt8],
        toSecond: inout [UInt8]
    ) throws(RelayFilterError) {}
}

/// Why a filter ended its pair.
package struct RelayFilterError: Error {
    package let reason: String

    package init(_ reason: String) {
        self.reason = reason
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
    /// Set while the second side connects.
    var connectTimer: LoopTimer?
    let options: RelayOptions
    let filter: (any RelayFilter)?
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
        if self[from: side].wantsRead, filter?.takesMore(from: side) != false {
            interest.insert(.readable)
        }
        if self[from: side.other].wantsWrite || filter?.hasMore(for: side) == true {
            interest.insert(.writable)
        }
        return interest
    }
}
