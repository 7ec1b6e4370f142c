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

    var incarnation: UInt64
    var term: UInt64
    var vote: String?
    var obeyed: StoredBallot?
    var wantedBallot: StoredBallot?
    var wantedVersion: UInt32
    var wantedModel: StoredModel?
    var peers: [String]

    init(_ record: DurableRecord) {
        incarnation = record.incarnation
        term = record.election.term
        vote = record.election.vote?.description
        obeyed = record.election.obeyed.map(StoredBallot.init)
        wantedBallot = record.wanted.ballot.map(StoredBallot.init)
        wantedVersion = record.wanted.version
        wantedModel = record.wanted.model.map { StoredModel(name: $0.name, context: $0.context) }
        peers = record.peers.map(\.description)
    }

    func record() throws -> DurableRecord {
        let vote = try vote.map { text throws(AgentProblem) in
            guard let node = NodeID(text) else { throw AgentProblem("\(text) is no node") }
            return node
        }
        return DurableRecord(
            incarnation: incarnation,
            election: ElectionRecord(term: term, vote: vote, obeyed: try obeyed?.ballot()),
            wanted: WantedState(
                ballot: try wantedBallot?.ballot(),
                version: wantedVersion,
                model: wantedModel.map { WantedModel(name: $0.name, context: $0.context) }
            ),
            peers: peers.compactMap { Endpoint($0) }
        )
    }
}
