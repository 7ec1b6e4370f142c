import LayerPlacement
import LeaderElection
import Primitives
import SWIM
import Wire

// Messages in words, for the lines of a trace.
extension Simulation {
    func describe(_ bytes: [UInt8]) -> String {
        let cluster = WireHeader.tag(ofCluster: SimulatedHost.cluster)
        do throws(WireError) {
            let datagram = try Datagram(decoding: bytes.span, cluster: cluster)
            return datagram.messages.map(describe).joined(separator: ", ")
        } catch {
            return "unreadable: \(error)"
        }
    }

    private func describe(_ message: Message) -> String {
        switch message {
        case .gossip(let message): describe(message)
        case .election(let message): describe(message)
        case .placement(let message): describe(message)
        case .beacon: "beacon"
        }
    }

    private func describe(_ message: GossipMessage) -> String {
        switch message {
        case .ping(let number, let target): "ping #\(number) of \(name(of: target))"
        case .ack(let number): "ack #\(number)"
        case .pingRequest(let number, let target, _):
            "ping request #\(number) for \(name(of: target))"
        case .nack(let number): "nack #\(number)"
        case .update(let update):
            "\(name(of: update.id)) is \(update.state)@\(update.incarnation)"
        }
    }

    private func describe(_ message: ElectionMessage) -> String {
        switch message {
        case .preVoteRequest(let ballot): "pre-vote request \(text(ballot))"
        case .preVoteReply(let reply):
            "pre-vote \(reply.isGranted ? "granted" : "refused") \(text(reply.ballot))"
        case .voteRequest(let ballot): "vote request \(text(ballot))"
        case .voteReply(let reply):
            "vote \(reply.isGranted ? "granted" : "refused") \(text(reply.ballot))"
        case .heartbeat(let heartbeat):
            "heartbeat \(heartbeat.sequence) of \(text(heartbeat.ballot)) with "
                + "\(heartbeat.weight.followerCount) followers"
        case .heartbeatReply(let reply):
            "heartbeat \(reply.sequence) of \(text(reply.ballot)) "
                + (reply.isObeyed ? "obeyed" : "refused, term \(reply.term)")
        case .resign(let ballot): "resigns \(text(ballot))"
        }
    }

    private func describe(_ message: PlacementMessage) -> String {
        switch message {
        case .order(let order):
            "order to \(order.serves ? "serve" : "stop") session \(order.session.number) of "
                + text(order.session.ballot)
        case .report(let report):
            "worker is \(report.state) in session \(report.session.number) of "
                + text(report.session.ballot)
        case .wanted(let state): "wanted is \(state.model?.name ?? "nothing") v\(state.version)"
        case .progress(let report): "launch is \(report.phase): \(report.message)"
        }
    }

    private func text(_ ballot: Ballot) -> String {
        "\(ballot.term)/\(name(of: ballot.node))"
    }
}
