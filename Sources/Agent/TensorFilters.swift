import LlamaRPC
import Primitives
import Sockets
import Synchronization
import TensorPieces
import TensorStore

/// The master's end of a stream that carries weights by name: llama-server is the pair's first
/// side, the worker's agent the second.
final class NamedTensorsSender: RelayFilter {
    private var sender: TensorSender
    private let counts: ConnectionCounts
    private let bases: KnownBases
    private let report: @Sendable (TensorTotals) -> Void

    /// - Parameters:
    ///   - features: what the worker's agent takes part in.
    ///   - counts: of the connection, for whoever looks on.
    ///   - bases: where buffers begin goes there.
    ///   - report: called once, when the weights are there.
    init(
        _ features: ServiceFeatures,
        _ counts: ConnectionCounts,
        _ bases: KnownBases,
        report: @escaping @Sendable (TensorTotals) -> Void
    ) {
        sender = TensorSender(takesBases: features.contains(.basesAhead))
        self.counts = counts
        self.bases = bases
        self.report = report
    }

    func pass(
        _ bytes: ArraySlice<UInt8>,
        from side: RelaySide,
        toFirst: inout [UInt8],
        toSecond: inout [UInt8]
    ) throws(RelayFilterError) {
        switch side {
        case .first:
            do throws(RPCFramingError) {
                try sender.send(bytes, into: &toSecond)
            } catch {
                throw RelayFilterError("llama-server makes no sense: \(error)")
            }
        case .second:
            do throws(TensorStreamError) {
                try sender.receive(bytes, replies: &toFirst)
            } catch {
                throw RelayFilterError("the worker's agent makes no sense: \(error)")
            }
            for base in sender.takeBases() { bases.learn(base) }
        }
        tell()
    }

    func ended(_ side: RelaySide, toFirst: inout [UInt8], toSecond: inout [UInt8]) {
        // What was announced and not answered is of no use any more: the RPC server frees all that
        // a client has set when that client goes.
    }

    func takesMore(from side: RelaySide) -> Bool {
        side == .second || sender.takesMore
    }

    func hasMore(for side: RelaySide) -> Bool {
        side == .second && sender.hasMore
    }

    func goOn(for side: RelaySide, toFirst: inout [UInt8], toSecond: inout [UInt8]) {
        sender.sendNext(into: &toSecond)
        tell()
    }

    private func tell() {
        // What waits for the worker's word has not travelled yet.
        counts.noteFound(sender.foundByteCount + sender.unresolvedByteCount)
        if let totals = sender.takeReport() { report(totals) }
    }
}

/// The worker's end: the master's agent is the pair's first side, the RPC server the second.
final class NamedTensorsReceiver: RelayFilter {
    private var receiver = TensorReceiver()
    /// Nil if the master's agent does not take part.
    private var bases: RPCBasesAhead?
    private let store: TensorStore
    private let begin: PieceIndex.Use
    private let found = FoundPieces()
    private var wake: @Sendable () -> Void = {}
    private var patience = StorePatience()

    init(_ store: TensorStore, _ features: ServiceFeatures) {
        self.store = store
        bases = features.contains(.basesAhead) ? RPCBasesAhead() : nil
        begin = store.begin()
    }

    func begin(wake: @escaping @Sendable () -> Void) {
        self.wake = wake
    }

    func pass(
        _ bytes: ArraySlice<UInt8>,
        from side: RelaySide,
        toFirst: inout [UInt8],
        toSecond: inout [UInt8]
    ) throws(RelayFilterError) {
        guard side == .first else { return try takeReply(bytes, &toFirst, &toSecond) }
        var effects: [TensorReceiver.Effect] = []
        let start = toSecond.count
        do throws(TensorStreamError) {
            try receiver.receive(bytes, requests: &toSecond, effects: &effects)
        } catch {
            throw RelayFilterError("the master's agent makes no sense: \(error)")
        }
        for effect in effects { perform(effect) }
        try follow(toSecond[start...])
    }

    /// The RPC server says something, and is perhaps asked something.
    private func takeReply(
        _ bytes: ArraySlice<UInt8>,
        _ toFirst: inout [UInt8],
        _ toSecond: inout [UInt8]
    ) throws(RelayFilterError) {
        guard bases != nil else { return receiver.reply(bytes, into: &toFirst) }
        var replies: [UInt8] = []
        var known: [RPCBufferBase] = []
        do throws(RPCFramingError) {
            try bases?.receive(bytes, replies: &replies, question: &toSecond, bases: &known)
        } catch {
            throw RelayFilterError("the RPC server makes no sense: \(error)")
        }
        for base in known { receiver.tell(base, into: &toFirst) }
        receiver.reply(replies[...], into: &toFirst)
    }

    /// What goes to the RPC server.
    private func follow(_ requests: ArraySlice<UInt8>) throws(RelayFilterError) {
        do throws(RPCFramingError) {
            try bases?.send(requests)
        } catch {
            throw RelayFilterError("llama-server makes no sense: \(error)")
        }
    }

    private func perform(_ effect: TensorReceiver.Effect) {
        switch effect {
        case .look(let name, let byteCount, let number, let place):
            store.look(name, byteCount: byteCount, at: place) { [found, wake] bytes in
                if found.add(number, bytes) { wake() }
            }
        case .keep(let name, let bytes): store.keep(name, bytes, since: begin)
        }
    }

    func ended(_ side: RelaySide, toFirst: inout [UInt8], toSecond: inout [UInt8]) {}

    func takesMore(from side: RelaySide) -> Bool {
        side == .second || receiver.takesMore && patience.allows(store, wake)
    }

    func hasMore(for side: RelaySide) -> Bool {
        switch side {
        case .first: !found.isEmpty
        case .second: receiver.hasMore
        }
    }

    func goOn(
        for side: RelaySide,
        toFirst: inout [UInt8],
        toSecond: inout [UInt8]
    ) throws(RelayFilterError) {
        switch side {
        case .first:
            for (number, bytes) in found.takeAll() {
                receiver.found(number, bytes, answers: &toFirst)
            }
        case .second:
            let start = toSecond.count
            receiver.writeNext(into: &toSecond)
            try follow(toSecond[start...])
        }
    }
}

/// What was found in the store, on its way to the relay's thread.
private final class FoundPieces: Sendable {
    private let pieces = Mutex<[(UInt64, [UInt8]?)]>([])

    var isEmpty: Bool { pieces.withLock { $0.isEmpty } }

    /// Says whether it is the first that waits: then somebody must be told.
    func add(_ number: UInt64, _ bytes: [UInt8]?) -> Bool {
        pieces.withLock { pieces in
            pieces.append((number, bytes))
            return pieces.count == 1
        }
    }

    func takeAll() -> [(UInt64, [UInt8]?)] {
        pieces.withLock { pieces in
            defer { pieces = [] }
            return pieces
        }
    }
}

/// How long a stream waits for a disk that is slower than the network, all in all.
///
/// After that, what the store has no room for is passed on without being kept: a slow disk makes
/// the next launch slower, not this one.
private struct StorePatience {
    static let limit: Duration = .seconds(5)

    private var left = Self.limit
    private var waitsSince: ContinuousClock.Instant?
    private let isCalled = Call()

    /// Whether a wake-up is under way.
    private final class Call: Sendable {
        let isPending = Mutex(false)
    }

    /// Whether more may be taken off the stream.
    mutating func allows(_ store: TensorStore, _ wake: @escaping @Sendable () -> Void) -> Bool {
        guard left > .zero else { return true }
        if let since = waitsSince {
            left -= ContinuousClock.now - since
            waitsSince = nil
        }
        guard left > .zero, store.isFull else { return true }
        waitsSince = .now
        let isFirst = isCalled.isPending.withLock { isPending in
            defer { isPending = true }
            return !isPending
        }
        if isFirst {
            store.whenRoom(within: left) { [isCalled] in
                isCalled.isPending.withLock { $0 = false }
                wake()
            }
        }
        return false
    }
}
