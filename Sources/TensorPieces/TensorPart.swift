internal import LlamaRPC
internal import Primitives

/// The parts of which a stream consists that carries tensors by name (Protocols/tensors.md).
enum PartKind: UInt8 {
    /// Bytes of llama-server or of the RPC server, as they are.
    case bytes = 1
    /// Here belongs a piece, which the other side may have.
    case announce = 2
    /// The oldest piece that was asked for and not sent.
    case piece = 3
    /// The oldest piece that was announced and not answered is there.
    case have = 4
    /// It is not: send it.
    case need = 5
    /// Where a buffer of the RPC server begins.
    case base = 6
}

/// Why a stream of parts makes no sense.
package enum TensorStreamError: Error, Equatable {
    case unknownPart(UInt8)
    /// A part that this side of the stream never gets.
    case misplacedPart(UInt8)
    case badByteCount(part: UInt8, count: UInt32, limit: Int)
    /// An answer or a piece for which nobody waits.
    case unasked(part: UInt8)
    /// A piece of another length than was announced.
    case otherByteCount(announced: Int, sent: UInt32)
    /// The other side does not keep to the window.
    case tooMuchWaits(byteCount: Int, limit: Int)
}

/// Cuts a stream into parts, whatever the slices in which it arrives.
///
/// Never keeps more than the 36 bytes of an announcement that are not all there yet: what parts
/// carry is given on at once.
struct PartReader: Sendable {
    enum Event: Equatable {
        case bytes(ArraySlice<UInt8>)
        case announced(PieceName, byteCount: Int)
        case pieceBegins(byteCount: UInt32)
        case pieceBytes(ArraySlice<UInt8>)
        case have
        case need
        case base(RPCBufferBase)
    }

    private enum State {
        case kind
        case length(PartKind)
        case bytes(remaining: Int)
        case piece(remaining: Int)
    }

    private var state = State.kind
    private var head: [UInt8] = []

    /// How much one part carries at most.
    static let byteLimit = PieceLimits.pieceByteLimit

    /// Takes bytes off the front until something has happened; nil when there are too few.
    mutating func next(
        _ rest: inout ArraySlice<UInt8>
    ) throws(TensorStreamError) -> Event? {
        while !rest.isEmpty {
            switch state {
            case .kind:
                let number = rest.removeFirst()
                guard let kind = PartKind(rawValue: number) else { throw .unknownPart(number) }
                switch kind {
                case .have: return .have
                case .need: return .need
                case .bytes, .announce, .piece, .base: state = .length(kind)
                }
            case .length(let kind):
                let wanted = Self.headByteCount(kind)
                let part = rest.prefix(wanted - head.count)
                head += part
                rest = rest.dropFirst(part.count)
                guard head.count == wanted else { return nil }
                defer { head.removeAll(keepingCapacity: true) }
                if let event = try begin(kind) { return event }
            case .bytes(let remaining):
                return .bytes(take(&rest, remaining) { .bytes(remaining: $0) })
            case .piece(let remaining):
                return .pieceBytes(take(&rest, remaining) { .piece(remaining: $0) })
            }
        }
        return nil
    }

    private static func headByteCount(_ kind: PartKind) -> Int {
        switch kind {
        case .announce: 4 + PieceName.byteCount
        case .base: 16
        case .bytes, .piece, .have, .need: 4
        }
    }

    private mutating func begin(_ kind: PartKind) throws(TensorStreamError) -> Event? {
        if kind == .base {
            state = .kind
            return .base(RPCBufferBase(buffer: number(0), base: number(8)))
        }
        let count = head.prefix(4).reduce(0 as UInt32) { $0 << 8 | UInt32($1) }
        guard count > 0, count <= Self.byteLimit else {
            throw .badByteCount(part: kind.rawValue, count: count, limit: Self.byteLimit)
        }
        switch kind {
        case .announce:
            state = .kind
            return .announced(PieceName(digest: head[4...]), byteCount: Int(count))
        case .piece:
            state = .piece(remaining: Int(count))
            return .pieceBegins(byteCount: count)
        case .bytes, .have, .need, .base:
            state = .bytes(remaining: Int(count))
            return nil
        }
    }

    private func number(_ place: Int) -> UInt64 {
        head[place..<(place + 8)].reduce(0) { $0 << 8 | UInt64($1) }
    }

    private mutating func take(
        _ rest: inout ArraySlice<UInt8>,
        _ remaining: Int,
        _ next: (Int) -> State
    ) -> ArraySlice<UInt8> {
        let part = rest.prefix(remaining)
        rest = rest.dropFirst(part.count)
        state = part.count == remaining ? .kind : next(remaining - part.count)
        return part
    }
}

extension [UInt8] {
    mutating func append(announcing name: PieceName, byteCount: Int) {
        append(PartKind.announce.rawValue)
        append(bigEndian: UInt32(byteCount))
        name.append(to: &self)
    }

    mutating func append(_ base: RPCBufferBase) {
        append(PartKind.base.rawValue)
        append(bigEndian: base.buffer)
        append(bigEndian: base.base)
    }

    mutating func append(part kind: PartKind, _ bytes: ArraySlice<UInt8>) {
        append(kind.rawValue)
        append(bigEndian: UInt32(bytes.count))
        append(contentsOf: bytes)
    }
}
