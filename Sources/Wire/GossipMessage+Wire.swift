import Primitives
import SWIM

extension GossipMessage {
    func encode(into bytes: inout [UInt8]) {
        switch self {
        case .ping(let number, let target):
            bytes.append(MessageKind.ping.rawValue)
            bytes.append(bigEndian: number)
            bytes.append(target)
        case .ack(let number):
            bytes.append(MessageKind.ack.rawValue)
            bytes.append(bigEndian: number)
        case .pingRequest(let number, let target, let endpoint):
            bytes.append(MessageKind.pingRequest.rawValue)
            bytes.append(bigEndian: number)
            bytes.append(target)
            bytes.append(endpoint)
        case .nack(let number):
            bytes.append(MessageKind.nack.rawValue)
            bytes.append(bigEndian: number)
        case .update(let update):
            bytes.append(MessageKind.update.rawValue)
            update.encode(into: &bytes)
        case .digest(let digest):
            bytes.append(MessageKind.digest.rawValue)
            bytes.append(bigEndian: digest)
        }
    }

    init(_ kind: MessageKind, _ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        switch kind {
        case .ping:
            let number: UInt32 = try reader.integer(bytes)
            self = .ping(number: number, target: try reader.node(bytes))
        case .ack: self = .ack(number: try reader.integer(bytes))
        case .pingRequest:
            let number: UInt32 = try reader.integer(bytes)
            let target = try reader.node(bytes)
            self = .pingRequest(
                number: number,
                target: target,
                endpoint: try reader.endpoint(bytes)
            )
        case .nack: self = .nack(number: try reader.integer(bytes))
        case .update: self = .update(try MemberUpdate(bytes, &reader))
        case .digest: self = .digest(try reader.integer(bytes))
        case .preVoteRequest, .preVoteReply, .voteRequest, .voteReply, .heartbeat,
            .heartbeatReply, .resign, .quorumPreVoteRequest, .quorumVoteRequest, .quorumHeartbeat,
            .quorumHeartbeatReply, .configuration, .transferOffer, .transferAnswer, .handOver,
            .release, .workerOrder, .workerReport, .wanted, .progress, .transfers, .beat,
            .beatObeyed, .beacon:
            throw .badValue(field: "kind", value: UInt64(kind.rawValue))
        }
    }
}

extension MemberUpdate {
    func encode(into bytes: inout [UInt8]) {
        bytes.append(state.rawValue)
        bytes.append(id)
        bytes.append(bigEndian: incarnation)
        switch belief {
        case .alive(let endpoint, let factsVersion, let facts):
            bytes.append(endpoint)
            bytes.append(bigEndian: factsVersion)
            bytes.append(bigEndian: UInt16(facts.wireByteCount))
            facts.encode(into: &bytes)
        case .suspect(let accuser), .dead(let accuser): bytes.append(accuser)
        case .left: break
        }
    }

    init(_ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        let rawState: UInt8 = try reader.integer(bytes)
        guard let state = MemberState(rawValue: rawState) else {
            throw .badValue(field: "state", value: UInt64(rawState))
        }
        let id = try reader.node(bytes)
        let incarnation: UInt64 = try reader.integer(bytes)
        let belief: Belief
        switch state {
        case .alive:
            let endpoint = try reader.endpoint(bytes)
            let factsVersion: UInt32 = try reader.integer(bytes)
            belief = .alive(
                endpoint: endpoint,
                factsVersion: factsVersion,
                facts: try DeviceFacts(block: bytes, &reader)
            )
        case .suspect: belief = .suspect(accuser: try reader.node(bytes))
        case .dead: belief = .dead(accuser: try reader.node(bytes))
        case .left: belief = .left
        }
        self.init(id: id, incarnation: incarnation, belief: belief)
    }
}
