package import LayerPlacement
package import LeaderElection
package import Primitives
package import SWIM

/// Everything that travels in datagrams.
package enum Message: Equatable, Sendable {
    case gossip(GossipMessage)
    case election(ElectionMessage)
    case placement(PlacementMessage)
    /// "An agent of this cluster is here", to whoever listens nearby.
    case beacon(Endpoint)
}

/// The kinds of messages; append-only, never reused.
enum MessageKind: UInt8 {
    case ping = 1
    case ack = 2
    case pingRequest = 3
    case nack = 4
    case update = 5
    case digest = 6
    case preVoteRequest = 16
    case preVoteReply = 17
    case voteRequest = 18
    case voteReply = 19
    case heartbeat = 20
    case heartbeatReply = 21
    case resign = 22
    case quorumPreVoteRequest = 23
    case quorumVoteRequest = 24
    case quorumHeartbeat = 25
    case quorumHeartbeatReply = 26
    case configuration = 27
    case transferOffer = 28
    case transferAnswer = 29
    case handOver = 30
    case release = 31
    case workerOrder = 32
    case workerReport = 33
    case wanted = 34
    case progress = 35
    case transfers = 36
    case beat = 40
    case beatObeyed = 41
    case beacon = 48
}

extension Message {
    /// Appends the kind and the fields.
    func encode(into bytes: inout [UInt8]) {
        switch self {
        case .gossip(let message): message.encode(into: &bytes)
        case .election(let message): message.encode(into: &bytes)
        case .placement(let message): message.encode(into: &bytes)
        case .beacon(let endpoint):
            bytes.append(MessageKind.beacon.rawValue)
            bytes.append(endpoint)
        }
    }

    /// Reads one message, kind included; nil if the kind is none that this version knows.
    init?(decoding bytes: Span<UInt8>, facts: FactsCache?) throws(WireError) {
        var reader = WireReader(offset: 0, facts: facts)
        guard let kind = MessageKind(rawValue: try reader.integer(bytes)) else { return nil }
        switch kind {
        case .ping, .ack, .pingRequest, .nack, .update, .digest:
            self = .gossip(try GossipMessage(kind, bytes, &reader))
        case .preVoteRequest, .preVoteReply, .voteRequest, .voteReply, .heartbeat,
            .heartbeatReply, .resign, .quorumPreVoteRequest, .quorumVoteRequest, .quorumHeartbeat,
            .quorumHeartbeatReply, .configuration, .transferOffer, .transferAnswer, .handOver,
            .release, .beat, .beatObeyed:
            self = .election(try ElectionMessage(kind, bytes, &reader))
        case .workerOrder, .workerReport, .wanted, .progress, .transfers:
            self = .placement(try PlacementMessage(kind, bytes, &reader))
        case .beacon: self = .beacon(try reader.endpoint(bytes))
        }
        try reader.finish(bytes)
    }
}
