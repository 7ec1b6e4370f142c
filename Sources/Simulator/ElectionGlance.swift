import Primitives
import Wire

/// What the oracles look for in an election message, read from its bytes alone: most datagrams of
/// a quiet cluster are heartbeats, and to decode each three times was a tenth of a run.
///
/// The layout is that of Protocols/election.md; a datagram that carries anything else beside the
/// one message, or was cut short, gives nothing.
enum ElectionGlance {
    case heartbeat(Ballot, sequence: UInt32)
    case heartbeatReply(Ballot, isObeyed: Bool)
    case other

    private static let heartbeatKind: UInt8 = 20
    private static let heartbeatReplyKind: UInt8 = 21
    private static let heartbeatByteCount = 32
    private static let heartbeatReplyByteCount = 38

    /// Nil if the datagram carries no election message that an oracle cares about.
    init?(_ bytes: Span<UInt8>) {
        let kindOffset = WireHeader.byteCount + 2
        guard bytes.count > kindOffset else { return nil }
        let kind = bytes[kindOffset]
        guard 17...21 ~= kind else { return nil }
        let byteCount = bytes.count - kindOffset
        var offset = kindOffset + 1
        guard
            kind == Self.heartbeatKind && byteCount == Self.heartbeatByteCount
                || kind == Self.heartbeatReplyKind && byteCount == Self.heartbeatReplyByteCount,
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
            kind == Self.heartbeatKind
            ? .heartbeat(ballot, sequence: sequence)
            : .heartbeatReply(ballot, isObeyed: bytes[offset] == 1)
    }
}
