import LayerPlacement
import LeaderElection
import Primitives
import SWIM
import Wire

// Messages in words, for the lines of a trace.
extension Simulation {
    /// Writes that a datagram was sent, and whether the network loses it.
    func traceSend(_ packet: Packet, isLost: Bool) {
        guard let writer = trace.writer else { return }
        writer.number(packet)
        if isLost { writer.arrived(packet) }
        let (about, words) = read(packet)
        trace.line(
            isLost ? .lost : .send,
            now,
            from: packet.from,
            to: packet.to,
            words,
            [.number("packet", packet.number), .text("about", about)]
        )
    }

    func traceArrival(_ packet: Packet) {
        guard let writer = trace.writer else { return }
        writer.arrived(packet)
        let (about, words) = read(packet)
        trace.line(
            .deliver,
            now,
            node: packet.to,
            from: packet.from,
            to: packet.to,
            words,
            [.number("packet", packet.number), .text("about", about)]
        )
    }

    /// Writes that nobody reads a datagram that got across, or that none has so far.
    func traceLoss(_ packet: Packet, _ reason: String) {
        guard let writer = trace.writer else { return }
        writer.arrived(packet)
        let (about, words) = read(packet)
        trace.line(
            .lost,
            now,
            node: packet.to,
            from: packet.from,
            to: packet.to,
            "\(words) — \(reason)",
            [.number("packet", packet.number), .text("about", about), .text("why", reason)]
        )
    }

    /// What a datagram is about, in a word for filters and in all words.
    private func read(_ packet: Packet) -> (about: String, words: String) {
        let cluster = WireHeader.tag(ofCluster: SimulatedHost.cluster)
        let bytes = packet.bytes
        guard let datagram = try? Datagram(decoding: bytes.span, cluster: cluster) else {
            return ("unreadable", describe(bytes))
        }
        let words = datagram.messages.map(describe).joined(separator: ", ")
        return (datagram.messages.first.map(about) ?? "gossip", words)
    }

    private func about(_ message: Message) -> String {
        switch message {
        case .gossip: "gossip"
        case .election(.heartbeat), .election(.heartbeatReply), .election(.beat),
            .election(.beatObeyed):
            "heartbeat"
        case .election: "vote"
        case .placement: "placement"
        case .beacon: "beacon"
        }
    }

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
        case .digest(let digest): "digest \(digest)"
        }
    }

    private func describe(_ message: ElectionMessage) -> String {
        switch message {
        case .preVoteRequest(let request): "pre-vote request \(text(request.ballot))"
        case .preVoteReply(let reply):
            "pre-vote \(reply.isGranted ? "granted" : "refused") \(text(reply.ballot))"
        case .voteRequest(let request): "vote request \(text(request.ballot))"
        case .voteReply(let reply):
            "vote \(reply.isGranted ? "granted" : "refused") \(text(reply.ballot))"
        case .heartbeat(let heartbeat):
            "heartbeat \(heartbeat.sequence) of \(text(heartbeat.ballot)) with "
                + "\(heartbeat.weight.followerCount) followers"
        case .heartbeatReply(let reply):
            "heartbeat \(reply.sequence) of \(text(reply.ballot)) "
                + (reply.isObeyed ? "obeyed" : "refused, term \(reply.term)")
        case .beat(let beat):
            "beat \(beat.sequence) of term \(beat.term) with "
                + "\(beat.weight.followerCount) followers"
        case .beatObeyed(let answer): "beat \(answer.sequence) of term \(answer.term) obeyed"
        case .resign(let ballot): "resigns \(text(ballot))"
        case .configuration(let newer):
            "voters \(newer.id.term).\(newer.id.version): "
                + newer.voters.map(name).joined(separator: ", ")
        case .transferOffer(let ballot): "offers to hand \(text(ballot)) over"
        case .transferAnswer(let answer):
            "answers the offer of \(text(answer.ballot)): \(answer.verdict)"
        case .handOver(let word): "\(text(word.ballot)) ends for \(name(of: word.target))"
        case .release(let ballot): "release of a voter, \(text(ballot))"
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
        case .transfers(let report):
            report.transfers.map { "\(name(of: $0.node)) has \($0.loaded)" }.joined(separator: ", ")
        }
    }

    func text(_ ballot: Ballot) -> String {
        "\(ballot.term)/\(name(of: ballot.node))"
    }
}
