/// Something that a sweep must have seen: one that never deposed a master has tested nothing.
package struct Sometimes: Sendable {
    package let name: String
    /// Any of these was counted (`SimulationStatistics.records`).
    private let records: [String]

    private init(_ name: String, _ records: String...) {
        self.name = name
        self.records = records
    }

    package func isSeen(in counts: [String: Int]) -> Bool {
        records.contains { counts[$0] ?? 0 > 0 }
    }

    package static let all: [Sometimes] = [
        Sometimes("a master was elected", "election.elected"),
        Sometimes("a master's lease ended", "election.deposed.leaseExpired"),
        Sometimes("of two masters that met one gave way", "election.deposed.gaveWay"),
        Sometimes("a master raised its ballot and went on", "election.renewed"),
        Sometimes("a master fell silent", "election.masterLost"),
        Sometimes("a vote was granted", "vote.granted"),
        Sometimes("a vote was refused", "vote.refused"),
        Sometimes("a pre-vote was refused", "preVote.refused"),
        Sometimes("a heartbeat was refused", "heartbeat.refused"),
        Sometimes("a member was suspected", "membership.suspected"),
        Sometimes("a member refuted what was said of it", "membership.refuted"),
        Sometimes("a suspicion ended well", "membership.recovered"),
        Sometimes("a suspicion ended in death", "membership.died"),
        Sometimes("a tombstone was forgotten", "membership.forgotten"),
        Sometimes("an unreadable datagram was refused", "refused.datagram.truncated"),
        Sometimes("a disk could not be written", "agent.state.unwritable"),
        Sometimes("a device lost its disk or its trust in it", "disk.freshIdentity"),
        Sometimes("a device lost its power", "host.power"),
        Sometimes("an agent was killed", "host.crash"),
        Sometimes("an agent was stopped and woke up", "host.resume"),
        Sometimes("a worker's RPC server was restarted", "worker.rpc.restarting"),
        Sometimes("a worker was given to another session", "worker.session.ends"),
        Sometimes("a launch went on without a worker", "placement.worker.leftOut"),
        Sometimes("a launch was begun again", "placement.replacing"),
        Sometimes("a launch failed with a reason", "placement.failed"),
        Sometimes("a model became ready", "placement.ready"),
        Sometimes("the voters of a quorum changed", "election.voters"),
        Sometimes("mastership was handed over", "election.transferred"),
        Sometimes("handing over was refused", "election.transferFailed"),
        Sometimes("a device left, asked to", "host.left"),
        Sometimes("a device was drained", "agent.draining"),
        Sometimes("llama-server ended unasked", "placement.server.ended"),
        Sometimes("a model was unloaded", "placement.stopped"),
    ]
}
