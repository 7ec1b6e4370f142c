import LeaderElection
import Primitives

extension ElectionMessage {
    func encode(into bytes: inout [UInt8]) {
        bytes.append(kind.rawValue)
        switch self {
        case .preVoteRequest(let request), .voteRequest(let request):
            bytes.append(request.ballot)
            if let configuration = request.configuration { bytes.append(configuration) }
        case .preVoteReply(let reply), .voteReply(let reply): reply.encode(into: &bytes)
        case .heartbeat(let heartbeat): heartbeat.encode(into: &bytes)
        case .heartbeatReply(let reply): reply.encode(into: &bytes)
        case .beat(let beat): beat.encode(into: &bytes)
        case .beatObeyed(let answer):
            bytes.append(count: answer.term)
            bytes.append(count: UInt64(answer.sequence))
            bytes.append(bigEndian: answer.tag)
        case .resign(let ballot), .transferOffer(let ballot), .release(let ballot):
            bytes.append(ballot)
        case .configuration(let configuration): configuration.encode(into: &bytes)
        case .transferAnswer(let answer):
            bytes.append(answer.ballot)
            bytes.append(answer.verdict.rawValue)
        case .handOver(let handOver):
            bytes.append(handOver.ballot)
            bytes.append(handOver.target)
        }
    }

    /// What names voters has a kind of its own: it belongs to the policy `quorum`.
    private var kind: MessageKind {
        switch self {
        case .preVoteRequest(let request):
            request.configuration == nil ? .preVoteRequest : .quorumPreVoteRequest
        case .preVoteReply: .preVoteReply
        case .voteRequest(let request):
            request.configuration == nil ? .voteRequest : .quorumVoteRequest
        case .voteReply: .voteReply
        case .heartbeat(let heartbeat):
            heartbeat.configuration == nil ? .heartbeat : .quorumHeartbeat
        case .heartbeatReply(let reply):
            reply.configuration == nil ? .heartbeatReply : .quorumHeartbeatReply
        case .beat: .beat
        case .beatObeyed: .beatObeyed
        case .resign: .resign
        case .configuration: .configuration
        case .transferOffer: .transferOffer
        case .transferAnswer: .transferAnswer
        case .handOver: .handOver
        case .release: .release
        }
    }

    init(_ kind: MessageKind, _ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        switch kind {
        case .preVoteRequest: self = .preVoteRequest(VoteRequest(try reader.ballot(bytes)))
        case .quorumPreVoteRequest: self = .preVoteRequest(try VoteRequest(bytes, &reader))
        case .preVoteReply: self = .preVoteReply(try VoteReply(bytes, &reader))
        case .voteRequest: self = .voteRequest(VoteRequest(try reader.ballot(bytes)))
        case .quorumVoteRequest: self = .voteRequest(try VoteRequest(bytes, &reader))
        case .voteReply: self = .voteReply(try VoteReply(bytes, &reader))
        case .heartbeat: self = .heartbeat(try Heartbeat(bytes, &reader))
        case .quorumHeartbeat:
            var heartbeat = try Heartbeat(bytes, &reader)
            heartbeat.configuration = try VoterConfiguration(bytes, &reader)
            self = .heartbeat(heartbeat)
        case .heartbeatReply: self = .heartbeatReply(try HeartbeatReply(bytes, &reader))
        case .quorumHeartbeatReply:
            var reply = try HeartbeatReply(bytes, &reader)
            reply.configuration = try reader.configurationID(bytes)
            self = .heartbeatReply(reply)
        case .beat: self = .beat(try Beat(bytes, &reader))
        case .beatObeyed: self = .beatObeyed(try BeatObeyed(bytes, &reader))
        case .resign: self = .resign(try reader.ballot(bytes))
        case .configuration: self = .configuration(try VoterConfiguration(bytes, &reader))
        case .transferOffer: self = .transferOffer(try reader.ballot(bytes))
        case .transferAnswer: self = .transferAnswer(try TransferAnswer(bytes, &reader))
        case .handOver:
            let ballot = try reader.ballot(bytes)
            self = .handOver(HandOver(ballot: ballot, target: try reader.node(bytes)))
        case .release: self = .release(try reader.ballot(bytes))
        case .ping, .ack, .pingRequest, .nack, .update, .digest, .workerOrder, .workerReport,
            .wanted, .progress, .transfers, .beacon:
            throw .badValue(field: "kind", value: UInt64(kind.rawValue))
        }
    }
}

extension ElectionMessage.VoteRequest {
    init(_ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        let ballot = try reader.ballot(bytes)
        self.init(ballot, try reader.configurationID(bytes))
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

extension ElectionMessage.Heartbeat {
    func encode(into bytes: inout [UInt8]) {
        bytes.append(ballot)
        bytes.append(bigEndian: sequence)
        bytes.append(flag: weight.isServing)
        bytes.append(bigEndian: weight.followerCount)
        configuration?.encode(into: &bytes)
    }

    /// Without the configuration.
    init(_ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        let ballot = try reader.ballot(bytes)
        let sequence: UInt32 = try reader.integer(bytes)
        let isServing = try reader.flag(bytes, "serving")
        let weight = MasterWeight(
            isServing: isServing,
            followerCount: try reader.integer(bytes)
        )
        self.init(ballot: ballot, sequence: sequence, weight: weight)
    }
}

extension ElectionMessage.HeartbeatReply {
    func encode(into bytes: inout [UInt8]) {
        bytes.append(ballot)
        bytes.append(bigEndian: sequence)
        bytes.append(flag: isObeyed)
        bytes.append(bigEndian: term)
        if let configuration { bytes.append(configuration) }
    }

    /// Without the configuration.
    init(_ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        let ballot = try reader.ballot(bytes)
        let sequence: UInt32 = try reader.integer(bytes)
        let isObeyed = try reader.flag(bytes, "obeyed")
        self.init(
            ballot: ballot,
            sequence: sequence,
            isObeyed: isObeyed,
            term: try reader.integer(bytes)
        )
    }
}

extension ElectionMessage.Beat {
    func encode(into bytes: inout [UInt8]) {
        bytes.append(count: term)
        bytes.append(count: UInt64(sequence))
        bytes.append(count: UInt64(weight.followerCount) << 1 | (weight.isServing ? 1 : 0))
    }

    init(_ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        let term = try reader.count(bytes, "term", UInt64.self)
        let sequence = try reader.count(bytes, "sequence", UInt32.self)
        let raw = try reader.count(bytes, "weight", UInt64.self)
        guard let followers = UInt16(exactly: raw >> 1) else {
            throw .badValue(field: "weight", value: raw)
        }
        let weight = MasterWeight(isServing: raw & 1 == 1, followerCount: followers)
        self.init(term: term, sequence: sequence, weight: weight)
    }
}

extension ElectionMessage.BeatObeyed {
    init(_ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        let term = try reader.count(bytes, "term", UInt64.self)
        let sequence = try reader.count(bytes, "sequence", UInt32.self)
        self.init(term: term, sequence: sequence, tag: try reader.integer(bytes))
    }
}

extension ElectionMessage.TransferAnswer {
    init(_ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        let ballot = try reader.ballot(bytes)
        let raw: UInt8 = try reader.integer(bytes)
        guard let verdict = Verdict(rawValue: raw) else {
            throw .badValue(field: "verdict", value: UInt64(raw))
        }
        self.init(ballot: ballot, verdict: verdict)
    }
}

extension VoterConfiguration {
    func encode(into bytes: inout [UInt8]) {
        bytes.append(id)
        bytes.append(UInt8(truncatingIfNeeded: voters.count))
        for voter in voters { bytes.append(voter) }
    }

    init(_ bytes: Span<UInt8>, _ reader: inout WireReader) throws(WireError) {
        let id = try reader.configurationID(bytes)
        let count = Int(try reader.integer(bytes, UInt8.self))
        guard count <= Self.voterLimit else {
            throw .tooMany(field: "voters", count: count, limit: Self.voterLimit)
        }
        var voters: [NodeID] = []
        for _ in 0..<count { voters.append(try reader.node(bytes)) }
        // None at all, or not in order.
        guard let configuration = VoterConfiguration(id: id, voters: voters) else {
            throw .badValue(field: "voters", value: UInt64(count))
        }
        self = configuration
    }
}

extension WireReader {
    mutating func configurationID(
        _ bytes: Span<UInt8>
    ) throws(WireError) -> ConfigurationID {
        let founder = try node(bytes)
        let term: UInt64 = try integer(bytes)
        return ConfigurationID(founder: founder, term: term, version: try integer(bytes))
    }
}

extension [UInt8] {
    fileprivate mutating func append(_ id: ConfigurationID) {
        append(id.founder)
        append(bigEndian: id.term)
        append(bigEndian: id.version)
    }
}
