import Primitives
import Wire

/// What the oracles look for in an election message, read from its bytes alone: most datagrams of
/// a quiet cluster are heartbeats, and to decode each three times was a tenth of a run.
///
/// The layout is that of Protocols/election.md; a datagram that carries anything else beside the
/// one message, or was cut short, gives nothing.
enum ElectionGlance {
    case heartbeat(Ballot, sequence: UInt32)
    case heartbeatReply(Ballot, sequence: UInt32, isObeyed: Bool)
    case other

    /// Kinds without voters, and the same with them.
    private static let lookedAtKinds: [UInt8] = [17, 18, 19, 20, 21, 24, 25, 26, 40, 41]
    private static let heartbeatByteCount = 32
    private static let heartbeatReplyByteCount = 38
    private static let configurationIDByteCount = 28
    private static let voterByteCount = 16

    /// Nil if the datagram carries no election message that an oracle cares about.
    ///
    /// A beat's ballot is of its sender, and the answer's of its receiver.
    init?(_ bytes: Span<UInt8>, from sender: NodeID, to receiver: NodeID?) {
        let kindOffset = WireHeader.byteCount + 2
        guard bytes.count > kindOffset else { return nil }
        let kind = bytes[kindOffset]
        guard Self.lookedAtKinds.contains(kind) else { return nil }
        let byteCount = bytes.count - kindOffset
        var offset = kindOffset + 1
        if kind >= 40 {
            self = Self.beat(kind, bytes, &offset, sender, receiver)
            return
        }
        guard let isReply = Self.isReply(kind, byteCount: byteCount),
            let term = try? bytes.readBigEndian(UInt64.self, at: &offset),
            let high = try? bytes.readBigEndian(UInt64.self, at: &offset),
            let low = try? bytes.readBigEndian(UInt64.self, at: &offset),
            let sequence = try? bytes.readBigEndian(UInt32.self, at: &offset)
        else {
            self = .other
            return
        }
        let ballot = Ballot(term: term, node: NodeID(high: high, low: low))
        self =
            isReply
            ? .heartbeatReply(ballot, sequence: sequence, isObeyed: bytes[offset] == 1)
            : .heartbeat(ballot, sequence: sequence)
    }

    private static func beat(
        _ kind: UInt8,
        _ bytes: Span<UInt8>,
        _ offset: inout Int,
        _ sender: NodeID,
        _ receiver: NodeID?
    ) -> ElectionGlance {
        guard let term = count(bytes, &offset), let sequence = count(bytes, &offset),
            let sequence = UInt32(exactly: sequence)
        else { return .other }
        if kind == 40 {
            guard count(bytes, &offset) != nil, offset == bytes.count else { return .other }
            return .heartbeat(Ballot(term: term, node: sender), sequence: sequence)
        }
        guard let receiver, let tag = try? bytes.readBigEndian(UInt32.self, at: &offset),
            tag == receiver.tag, offset == bytes.count
        else { return .other }
        let ballot = Ballot(term: term, node: receiver)
        return .heartbeatReply(ballot, sequence: sequence, isObeyed: true)
    }

    private static func count(_ bytes: Span<UInt8>, _ offset: inout Int) -> UInt64? {
        var value: UInt64 = 0
        var shift: UInt64 = 0
        while offset < bytes.count, shift < 64 {
            let byte = bytes[offset]
            offset += 1
            value |= UInt64(byte & 0x7F) << shift
            if byte < 0x80 { return value }
            shift += 7
        }
        return nil
    }

    /// Nil for what is neither a whole heartbeat nor a whole answer to one.
    private static func isReply(_ kind: UInt8, byteCount: Int) -> Bool? {
        switch kind {
        case 20: return byteCount == heartbeatByteCount ? false : nil
        case 21: return byteCount == heartbeatReplyByteCount ? true : nil
        case 25:
            let rest = byteCount - heartbeatByteCount - configurationIDByteCount - 1
            return rest > 0 && rest % voterByteCount == 0 ? false : nil
        case 26:
            return byteCount == heartbeatReplyByteCount + configurationIDByteCount ? true : nil
        default: return nil
        }
    }
}

/// Which heartbeat a member says that it obeys.
struct ObeyedHeartbeat {
    let ballot: Ballot
    let sequence: UInt32
}
