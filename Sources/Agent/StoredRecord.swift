import LayerPlacement
import LeaderElection
import Primitives
import Runtime

/// A durable record as it stands in the state file.
struct StoredRecord: Codable {
    struct StoredBallot: Codable {
        var term: UInt64
        var node: String

        init(_ ballot: Ballot) {
            term = ballot.term
            node = ballot.node.description
        }

        func ballot() throws -> Ballot {
            guard let node = NodeID(node) else { throw AgentProblem("\(node) is no node") }
            return Ballot(term: term, node: node)
        }
    }

    struct StoredModel: Codable {
        var name: String
        var context: UInt32
    }

    /// Voters of the policy `quorum`; absent in records of earlier versions.
    struct StoredVoters: Codable {
        var founder: String
        var term: UInt64
        var version: UInt32
        var nodes: [String]

        init(_ configuration: VoterConfiguration) {
            founder = configuration.id.founder.description
            term = configuration.id.term
            version = configuration.id.version
            nodes = configuration.voters.map(\.description)
        }

        /// A record whose voters make no sense is refused whole, as a torn one is: without them
        /// this device would vote for whom it must not.
        func configuration() throws -> VoterConfiguration {
            guard let founder = NodeID(founder) else {
                throw AgentProblem("\(founder) is no node")
            }
            let voters = try nodes.map { text throws(AgentProblem) in
                guard let node = NodeID(text) else { throw AgentProblem("\(text) is no node") }
                return node
            }
            let id = ConfigurationID(founder: founder, term: term, version: version)
            guard let configuration = VoterConfiguration(id: id, voters: voters) else {
                throw AgentProblem("its voters make no sense")
            }
            return configuration
        }
    }

    var incarnation: UInt64
    var term: UInt64
    var vote: String?
    var obeyed: StoredBallot?
    var voters: StoredVoters?
    var wantedBallot: StoredBallot?
    var wantedVersion: UInt32
    var wantedModel: StoredModel?
    var peers: [String]
    /// Absent in records of earlier versions, and where it is false.
    var isDrained: Bool?

    init(_ record: DurableRecord) {
        incarnation = record.incarnation
        term = record.election.term
        vote = record.election.vote?.description
        obeyed = record.election.obeyed.map(StoredBallot.init)
        voters = record.election.configuration.map(StoredVoters.init)
        wantedBallot = record.wanted.ballot.map(StoredBallot.init)
        wantedVersion = record.wanted.version
        wantedModel = record.wanted.model.map { StoredModel(name: $0.name, context: $0.context) }
        peers = record.peers.map(\.description)
        isDrained = record.isDrained ? true : nil
    }

    func record() throws -> DurableRecord {
        let vote = try vote.map { text throws(AgentProblem) in
            guard let node = NodeID(text) else { throw AgentProblem("\(text) is no node") }
            return node
        }
        return DurableRecord(
            incarnation: incarnation,
            election: ElectionRecord(
                term: term,
                vote: vote,
                obeyed: try obeyed?.ballot(),
                configuration: try voters?.configuration()
            ),
            wanted: WantedState(
                ballot: try wantedBallot?.ballot(),
                version: wantedVersion,
                model: wantedModel.map { WantedModel(name: $0.name, context: $0.context) }
            ),
            peers: peers.compactMap { Endpoint($0) },
            isDrained: isDrained ?? false
        )
    }
}
