import LeaderElection
import Primitives

extension ElectionMessage {
    func encode(into bytes: inout [UInt8]) {
        switch self {
        case .preVoteRequest(let ballot):
            bytes.append(MessageKind.preVoteRequest.rawValue)
            bytes.append(ballot)
        case .preVoteReply(let reply):
            bytes.append(MessageKind.preVoteReply.rawValue)
            reply.encode(into: &bytes)
        case .voteRequest(let ballot):
            bytes.append(MessageKind.voteRequest.rawValue)
            bytes.append(ballot)
        case .voteReply(let reply):
            bytes.append(MessageKind.voteReply.rawValue)
            reply.encode(into: &bytes)
        case .heartbeat(let heartbeat):
            bytes.append(MessageKind.heartbeat.rawValue)
            bytes.append(heartbeat.ballot)
            bytes.append(bigEndian: heartbeat.sequence)
            bytes.append(flag: heartbeat.weight.isServing)
            bytes.append(bigEndian: heartbeat.weight.followerCount)
        case .heartbeatReply(let reply):
            bytes.append(MessageKind.heartbeatReply.rawValue)
            bytes.append(reply.ballot)
            bytes.append(bigEndian: reply.sequence)
            bytes.append(flag: reply.isObeyed)
            bytes.append(bigEndian: reply.term)
        case .resign(let ballot):
            bytes.append(MessageKind.resign.rawValue)
            bytes.append(ballot)
        }
    }

    init(_ kind: MessageKind, _ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        switch kind {
        case .preVoteRequest: self = .preVoteRequest(try reader.ballot(bytes))
        case .preVoteReply: self = .preVoteReply(try VoteReply(bytes, &reader))
        case .voteRequest: self = .voteRequest(try reader.ballot(bytes))
        case .voteReply: self = .voteReply(try VoteReply(bytes, &reader))
        case .heartbeat:
            let ballot = try reader.ballot(bytes)
            let sequence: UInt32 = try reader.integer(bytes)
            let isServing = try reader.flag(bytes, "serving")
            let weight = MasterWeight(
                isServing: isServing,
                followerCount: try reader.integer(bytes)
            )
            self = .heartbeat(Heartbeat(ballot: ballot, sequence: sequence, weight: weight))
        case .heartbeatReply:
            let ballot = try reader.ballot(bytes)
            let sequence: UInt32 = try reader.integer(bytes)
            let isObeyed = try reader.flag(bytes, "obeyed")
            self = .heartbeatReply(
                HeartbeatReply(
                    ballot: ballot,
                    sequence: sequence,
                    isObeyed: isObeyed,
                    term: try reader.integer(bytes)
                )
            )
        case .resign: self = .resign(try reader.ballot(bytes))
        case .ping, .ack, .pingRequest, .nack, .update, .workerOrder, .workerReport, .wanted,
            .progress, .beacon:
            throw .badValue(field: "kind", value: UInt64(kind.rawValue))
        }
    }
}

extension ElectionMessage.VoteReply {
    func encode(into bytes: inout [UInt8]) {
        bytes.append(ballot)
        bytes.append(flag: isGranted)
        bytes.append(bigEndian: term)
    }

    init(_ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        let ballot = try reader.ballot(bytes)
        let isGranted = try reader.flag(bytes, "granted")
        self.init(ballot: ballot, isGranted: isGranted, term: try reader.integer(bytes))
    }
}
