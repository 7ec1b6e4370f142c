import Gateway
import Primitives

extension AgentView {
    /// Reads what an agent's HTTP API tells; nil if it is no status of ours.
    init?(_ status: ClusterStatus) {
        guard let own = NodeID(status.`self`) else { return nil }
        var master: Ballot?
        if status.master != nil {
            guard let ballot = status.ballot, let node = NodeID(ballot.node) else { return nil }
            master = Ballot(term: ballot.term, node: node)
        }
        var members: [Member] = []
        for member in status.members {
            guard let id = NodeID(member.id) else { return nil }
            members.append(
                Member(
                    id: id,
                    isPresent: member.state == "alive" || member.state == "suspect",
                    incarnation: member.incarnation
                )
            )
        }
        // A device that runs without voters may still remember some.
        let voters = status.policy == "quorum" ? status.voters : nil
        self.init(
            own: own,
            master: master,
            members: members,
            voters: voters?.compactMap { NodeID($0) }
        )
    }
}
