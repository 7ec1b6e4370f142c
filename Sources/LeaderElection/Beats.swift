import Primitives

// Heartbeats and their answers without what the other side knows: most datagrams of a quiet
// cluster are these. Only the form is another; what is decided by them is the same.

extension ElectionMessage.Heartbeat {
    init(_ beat: ElectionMessage.Beat, of sender: NodeID) {
        let ballot = Ballot(term: beat.term, node: sender)
        self.init(ballot: ballot, sequence: beat.sequence, weight: beat.weight)
    }

    /// The shortest form that the member understands.
    func message(for member: Standing) -> ElectionMessage {
        // Voters are told again and again, until all have stored them.
        guard configuration == nil, member.hearsBeats else { return .heartbeat(self) }
        return .beat(
            ElectionMessage.Beat(term: ballot.term, sequence: sequence, weight: weight)
        )
    }
}

extension ElectionMessage.HeartbeatReply {
    init(_ answer: ElectionMessage.BeatObeyed, to own: NodeID) {
        self.init(
            ballot: Ballot(term: answer.term, node: own),
            sequence: answer.sequence,
            isObeyed: true,
            term: answer.term
        )
    }

    /// The shortest form that says it all.
    func message(inBrief: Bool) -> ElectionMessage {
        guard inBrief, isObeyed, term == ballot.term, configuration == nil else {
            return .heartbeatReply(self)
        }
        return .beatObeyed(
            ElectionMessage.BeatObeyed(term: term, sequence: sequence, tag: ballot.node.tag)
        )
    }
}
