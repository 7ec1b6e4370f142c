internal import DequeModule
package import LlamaRPC

/// The master's side of a stream that carries tensors by name (Protocols/tensors.md).
///
/// Takes what llama-server says, and replaces weights by announcements of their pieces. A piece is
/// kept until the other side says that it has it, or was sent it: at most a window of them, so
/// memory is bounded whatever the tensor. The other side's answers need no waiting for, so a long
/// way costs nothing while the window lasts.
package struct TensorSender: Sendable {
    /// A piece that was announced.
    private struct Held {
        let bytes: [UInt8]
        /// Where it stands in all that was sent.
        let position: UInt64
    }

    private enum Payload {
        case passes
        /// The head is being collected, which says whether these are weights.
        case undecided(payloadByteCount: UInt64)
        case cut
    }

    /// The part of the tensor up to the next cut.
    private struct Piece {
        var bytes: [UInt8] = []
        var byteCount: Int
    }

    private let windowByteLimit: UInt64
    private let takesBases: Bool
    /// What was told and not fetched yet.
    private var bases: [RPCBufferBase] = []
    private var requests = RPCFrameReader(.requests)
    private var payload = Payload.passes
    /// Of the tensor that is cut, where the next byte belongs, and how much is to come.
    private var offset: UInt64 = 0
    private var remaining: UInt64 = 0
    private var piece = Piece(byteCount: 0)

    private var unanswered = Deque<Held>()
    private var asked = Deque<Held>()
    /// All bytes that were sent or announced so far.
    private var position: UInt64 = 0

    private var parts = PartReader()
    private var totals = TensorTotals()
    /// No graph was computed yet.
    private var isLoading = true
    private var isReported = false

    /// - Parameter takesBases: the other side tells where buffers begin.
    package init(
        windowByteLimit: Int = PieceLimits.windowByteLimit,
        takesBases: Bool = false
    ) {
        self.windowByteLimit = UInt64(windowByteLimit)
        self.takesBases = takesBases
    }

    /// Whether llama-server may say more; else the window is full.
    package var takesMore: Bool { unresolvedByteCount < windowByteLimit }

    /// What was sent or announced since the oldest piece that the other side lacks.
    package var unresolvedByteCount: UInt64 {
        let oldest = asked.first?.position ?? unanswered.first?.position
        return oldest.map { position - $0 } ?? 0
    }

    /// Whether `sendNext` has something to send.
    package var hasMore: Bool { !asked.isEmpty }

    /// Of the weights, what the other side has turned out to have so far.
    package var foundByteCount: UInt64 { totals.foundByteCount }

    /// How the weights travelled; once, when the first computation follows them.
    package mutating func takeReport() -> TensorTotals? {
        guard !isLoading, !isReported, unanswered.isEmpty, asked.isEmpty else { return nil }
        isReported = true
        return totals.byteCount > 0 ? totals : nil
    }

    // MARK: - From llama-server

    /// Takes bytes of llama-server, and appends the parts that go to the other side.
    ///
    /// After an error the stream is to be closed.
    package mutating func send(
        _ bytes: ArraySlice<UInt8>,
        into sealed: inout [UInt8]
    ) throws(RPCFramingError) {
        var plain = PlainRun()
        var rest = bytes
        while let event = try requests.next(&rest) { take(event, &plain, &sealed) }
        plain.close(&sealed)
    }

    private mutating func take(
        _ event: RPCFrameReader.Event,
        _ plain: inout PlainRun,
        _ sealed: inout [UInt8]
    ) {
        switch event {
        case .begins(let header): begin(header, &plain, &sealed)
        case .prefix(let head): decide(head, &plain, &sealed)
        case .payload(let bytes):
            switch payload {
            case .passes, .undecided: pass(bytes, &plain, &sealed)
            case .cut: cut(bytes, &plain, &sealed)
            }
        case .ends: payload = .passes
        }
    }

    private mutating func begin(
        _ header: RPCHeader,
        _ plain: inout PlainRun,
        _ sealed: inout [UInt8]
    ) {
        var bytes: [UInt8] = []
        header.encode(into: &bytes)
        pass(bytes[...], &plain, &sealed)
        payload = .passes
        guard case .request(let number, let byteCount) = header,
            let command = RPCCommand(rawValue: number)
        else { return }
        switch command {
        case .graphCompute, .graphRecompute: isLoading = false
        case .setTensor:
            guard isLoading, WeightRule.mayTakePart(payloadByteCount: byteCount) else { return }
            payload = .undecided(payloadByteCount: byteCount)
            requests.collect(prefixByteCount: WeightRule.headByteCount)
        default: break
        }
    }

    private mutating func decide(
        _ head: [UInt8],
        _ plain: inout PlainRun,
        _ sealed: inout [UInt8]
    ) {
        guard case .undecided(let byteCount) = payload,
            let place = WeightRule.place(head: head, payloadByteCount: byteCount)
        else { return pass(head[...], &plain, &sealed) }
        pass(head[..<place.headByteCount], &plain, &sealed)
        payload = .cut
        offset = place.tensor.offset
        remaining = byteCount - UInt64(place.headByteCount)
        beginPiece()
        cut(head[place.headByteCount...], &plain, &sealed)
    }

    private mutating func beginPiece() {
        piece = Piece(byteCount: PieceCut.byteCount(from: offset, remaining: remaining))
        guard piece.byteCount >= PieceLimits.pieceByteMinimum else { return }
        piece.bytes.reserveCapacity(piece.byteCount)
    }

    private mutating func cut(
        _ bytes: ArraySlice<UInt8>,
        _ plain: inout PlainRun,
        _ sealed: inout [UInt8]
    ) {
        var rest = bytes
        while !rest.isEmpty {
            let part = rest.prefix(piece.byteCount - piece.bytes.count)
            piece.bytes += part
            rest = rest.dropFirst(part.count)
            guard piece.bytes.count == piece.byteCount else { return }
            let whole = piece.bytes
            offset &+= UInt64(whole.count)
            remaining -= UInt64(whole.count)
            beginPiece()
            if whole.count < PieceLimits.pieceByteMinimum {
                pass(whole[...], &plain, &sealed)
            } else {
                announce(whole, &plain, &sealed)
            }
        }
    }

    private mutating func announce(
        _ bytes: [UInt8],
        _ plain: inout PlainRun,
        _ sealed: inout [UInt8]
    ) {
        plain.close(&sealed)
        sealed.append(announcing: PieceName(of: bytes[...]), byteCount: bytes.count)
        unanswered.append(Held(bytes: bytes, position: position))
        position += UInt64(bytes.count)
    }

    private mutating func pass(
        _ bytes: ArraySlice<UInt8>,
        _ plain: inout PlainRun,
        _ sealed: inout [UInt8]
    ) {
        plain.append(bytes, to: &sealed)
        position += UInt64(bytes.count)
    }

    // MARK: - From the other side

    /// Takes what the other side sent, and appends what the RPC server said.
    package mutating func receive(
        _ bytes: ArraySlice<UInt8>,
        replies: inout [UInt8]
    ) throws(TensorStreamError) {
        var rest = bytes
        while let event = try parts.next(&rest) {
            switch event {
            case .bytes(let bytes): replies += bytes
            case .have:
                guard let held = unanswered.popFirst() else {
                    throw .unasked(part: PartKind.have.rawValue)
                }
                totals.foundPieces += 1
                totals.foundByteCount += UInt64(held.bytes.count)
            case .need:
                guard let held = unanswered.popFirst() else {
                    throw .unasked(part: PartKind.need.rawValue)
                }
                asked.append(held)
            case .base(let base):
                guard takesBases else { throw .misplacedPart(PartKind.base.rawValue) }
                bases.append(base)
            case .announced: throw .misplacedPart(PartKind.announce.rawValue)
            case .pieceBegins, .pieceBytes: throw .misplacedPart(PartKind.piece.rawValue)
            }
        }
    }

    /// Where buffers begin, as it was told since this was last asked.
    package mutating func takeBases() -> [RPCBufferBase] {
        defer { bases = [] }
        return bases
    }

    /// Appends the oldest piece that was asked for.
    package mutating func sendNext(into sealed: inout [UInt8]) {
        guard let held = asked.popFirst() else { return }
        sealed.append(part: .piece, held.bytes[...])
        totals.sentPieces += 1
        totals.sentByteCount += UInt64(held.bytes.count)
    }
}

/// Bytes that pass as they are and follow each other become one part.
struct PlainRun {
    /// Where the part that may still grow begins.
    private var start: Int?
    private var byteCount = 0

    private static let headByteCount = 5

    mutating func append(_ bytes: ArraySlice<UInt8>, to sealed: inout [UInt8]) {
        var rest = bytes
        while !rest.isEmpty {
            if start == nil {
                start = sealed.count
                sealed.append(PartKind.bytes.rawValue)
                sealed += [0, 0, 0, 0]
            }
            let part = rest.prefix(PartReader.byteLimit - byteCount)
            sealed += part
            byteCount += part.count
            rest = rest.dropFirst(part.count)
            if byteCount == PartReader.byteLimit { close(&sealed) }
        }
    }

    mutating func close(_ sealed: inout [UInt8]) {
        guard let start else { return }
        for index in 1..<Self.headByteCount {
            sealed[start + index] = UInt8(truncatingIfNeeded: byteCount >> (8 * (4 - index)))
        }
        self.start = nil
        byteCount = 0
    }
}
