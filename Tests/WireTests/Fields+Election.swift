import LeaderElection
import Primitives
import Wire

extension ElectionMessage {
    init?(_ kind: String, _ fields: Fields) throws {
        switch kind {
        case "preVoteRequest", "quorumPreVoteRequest":
            self = .preVoteRequest(try VoteRequest(kind, fields))
        case "preVoteReply": self = .preVoteReply(try VoteReply(fields))
        case "voteRequest", "quorumVoteRequest":
            self = .voteRequest(try VoteRequest(kind, fields))
        case "voteReply": self = .voteReply(try VoteReply(fields))
        case "heartbeat", "quorumHeartbeat":
            self = .heartbeat(
                Heartbeat(
                    ballot: try Ballot(fields.object("ballot")),
                    sequence: try fields.integer("sequence"),
                    weight: MasterWeight(
                        isServing: try fields.flag("serving"),
                        followerCount: try fields.integer("followers")
                    ),
                    configuration: kind == "heartbeat"
                        ? nil : try VoterConfiguration(fields.object("configuration"))
                )
            )
        case "heartbeatReply", "quorumHeartbeatReply":
            self = .heartbeatReply(
                HeartbeatReply(
                    ballot: try Ballot(fields.object("ballot")),
                    sequence: try fields.integer("sequence"),
                    isObeyed: try fields.flag("obeyed"),
                    term: try fields.integer("term"),
                    configuration: kind == "heartbeatReply"
                        ? nil : try ConfigurationID(fields.object("configuration"))
                )
            )
        case "beat":
            self = .beat(
                Beat(
                    term: try fields.integer("term"),
                    sequence: try fields.integer("sequence"),
                    weight: MasterWeight(
                        isServing: try fields.flag("serving"),
                        followerCount: try fields.integer("followers")
                    )
                )
            )
        case "beatObeyed":
            self = .beatObeyed(
                BeatObeyed(
                    term: try fields.integer("term"),
                    sequence: try fields.integer("sequence"),
                    tag: try fields.integer("tag")
                )
            )
        case "resign": self = .resign(try Ballot(fields.object("ballot")))
        case "configuration":
            self = .configuration(try VoterConfiguration(fields.object("configuration")))
        case "transferOffer": self = .transferOffer(try Ballot(fields.object("ballot")))
        case "transferAnswer":
            guard let verdict = TransferAnswer.Verdict(rawValue: try fields.integer("verdict"))
            else { throw BadVector(reason: "verdict") }
            self = .transferAnswer(
                TransferAnswer(ballot: try Ballot(fields.object("ballot")), verdict: verdict)
            )
        case "handOver":
            self = .handOver(
                HandOver(
                    ballot: try Ballot(fields.object("ballot")),
                    target: try fields.node("target")
                )
            )
        case "release": self = .release(try Ballot(fields.object("ballot")))
        default: return nil
        }
    }
}

extension ElectionMessage.VoteRequest {
    init(_ kind: String, _ fields: Fields) throws {
        self.init(
            try Ballot(fields.object("ballot")),
            kind.hasPrefix("quorum") ? try ConfigurationID(fields.object("configuration")) : nil
        )
    }
}

extension ConfigurationID {
    init(_ fields: Fields) throws {
        self.init(
            founder: try fields.node("founder"),
            term: try fields.integer("term"),
            version: try fields.integer("version")
        )
    }
}

extension VoterConfiguration {
    init(_ fields: Fields) throws {
        let configuration = VoterConfiguration(
            id: try ConfigurationID(fields.object("id")),
            voters: try fields.nodes("voters")
        )
        guard let configuration else { throw BadVector(reason: "voters") }
        self = configuration
    }
}

extension ElectionMessage.VoteReply {
    init(_ fields: Fields) throws {
        self.init(
            ballot: try Ballot(fields.object("ballot")),
            isGranted: try fields.flag("granted"),
            term: try fields.integer("term")
        )
    }
}
