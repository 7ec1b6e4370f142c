import LayerPlacement
import LeaderElection
import Primitives
import SWIM
import Wire

/// Messages and frames of every kind, with values from everywhere in their ranges.
struct RandomMessages {
    private var generator: SeededGenerator

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed).derived(1)
    }

    mutating func frame() -> Frame {
        switch generator.below(12) {
        case 0: .syncRequest(updates())
        case 1: .syncReply(updates())
        case 2: .ping(number: integer(), target: node())
        case 3: .ack(number: integer())
        case 4:
            .openService(
                Service.allCases[generator.below(Service.allCases.count)],
                ballot: flag() ? ballot() : nil
            )
        case 5: .serviceOpened
        case 6: .watch(target: node())
        case 7: .watching
        case 8: .serviceFeatures(ServiceFeatures(rawValue: integer()))
        case 9: .dialBack(number: integer())
        case 10: .dialledBack(number: integer())
        default: .serviceRefused(reason: text(byteLimit: 255))
        }
    }

    mutating func message() -> Message {
        switch generator.below(7) {
        case 0: .beacon(endpoint())
        case 1, 2: .gossip(gossip())
        case 3, 4: .election(election())
        default: .placement(placement())
        }
    }

    mutating func gossip() -> GossipMessage {
        switch generator.below(7) {
        case 0: .ping(number: integer(), target: node())
        case 1: .ack(number: integer())
        case 2: .pingRequest(number: integer(), target: node(), endpoint: endpoint())
        case 3: .nack(number: integer())
        case 4: .digest(integer())
        default: .update(update())
        }
    }

    mutating func update() -> MemberUpdate {
        let belief: MemberUpdate.Belief =
            switch generator.below(5) {
            case 0: .suspect(accuser: node())
            case 1: .dead(accuser: node())
            case 2: .left
            default: .alive(endpoint: endpoint(), factsVersion: integer(), facts: facts())
            }
        return MemberUpdate(id: node(), incarnation: integer(), belief: belief)
    }

    /// The text and list limits are passed now and then: the initialiser must cut.
    mutating func facts() -> DeviceFacts {
        DeviceFacts(
            name: text(byteLimit: 90),
            memoryTotal: ByteCount(integer()),
            memoryAvailable: ByteCount(integer()),
            httpPort: integer(),
            rpcPort: integer(),
            engine: text(byteLimit: 50),
            models: (0..<generator.below(20)).map { _ in integer() },
            condition: condition(),
            policy: [nil, .available, .quorum][generator.below(3)],
            gaps: (0..<generator.below(30)).map { _ in
                ReachGap(tag: integer(), failures: ReachGap.Failures(rawValue: integer()))
            },
            vocabulary: flag() ? Vocabulary(integer()) : .first
        )
    }

    private mutating func condition() -> DeviceCondition {
        let percent = UInt8(generator.below(101))
        return DeviceCondition(
            threadCount: integer(),
            power: [.unknown, .mains, .charging(percent), .battery(percent)][generator.below(4)],
            temperature: flag() ? integer() : nil,
            isThrottled: flag(),
            uptime: UptimeStep(integer()),
            accelerators: text(byteLimit: 70),
            rpcVersion: flag() ? ThreePartVersion(integer(), integer(), integer()) : nil
        )
    }

    private mutating func election() -> ElectionMessage {
        switch generator.below(14) {
        case 0: .preVoteRequest(.init(ballot(), flag() ? configuration().id : nil))
        case 1: .preVoteReply(voteReply())
        case 2: .voteRequest(.init(ballot(), flag() ? configuration().id : nil))
        case 3: .voteReply(voteReply())
        case 4:
            .heartbeat(
                ElectionMessage.Heartbeat(
                    ballot: ballot(),
                    sequence: integer(),
                    weight: MasterWeight(isServing: flag(), followerCount: integer()),
                    configuration: flag() ? configuration() : nil
                )
            )
        case 5:
            .heartbeatReply(
                ElectionMessage.HeartbeatReply(
                    ballot: ballot(),
                    sequence: integer(),
                    isObeyed: flag(),
                    term: integer(),
                    configuration: flag() ? configuration().id : nil
                )
            )
        case 6: .configuration(configuration())
        case 7: .transferOffer(ballot())
        case 8:
            .transferAnswer(
                ElectionMessage.TransferAnswer(
                    ballot: ballot(),
                    verdict: .allCases[generator.below(4)]
                )
            )
        case 9: .handOver(ElectionMessage.HandOver(ballot: ballot(), target: node()))
        case 10: .release(ballot())
        case 11:
            .beat(
                ElectionMessage.Beat(
                    term: integer(),
                    sequence: integer(),
                    weight: MasterWeight(isServing: flag(), followerCount: integer())
                )
            )
        case 12:
            .beatObeyed(
                ElectionMessage.BeatObeyed(term: integer(), sequence: integer(), tag: integer())
            )
        default: .resign(ballot())
        }
    }

    private mutating func configuration() -> VoterConfiguration {
        let id = ConfigurationID(founder: node(), term: integer(), version: integer())
        let voters = Set((0...generator.below(5)).map { _ in node() }).sorted()
        return VoterConfiguration(id: id, voters: voters) ?? VoterConfiguration(foundedBy: node())
    }

    private mutating func voteReply() -> ElectionMessage.VoteReply {
        ElectionMessage.VoteReply(ballot: ballot(), isGranted: flag(), term: integer())
    }

    private mutating func placement() -> PlacementMessage {
        switch generator.below(5) {
        case 0: .order(WorkerOrder(ballot: ballot(), session: session(), serves: flag()))
        case 1:
            .report(
                WorkerReport(
                    session: session(),
                    state: WorkerReport.State.allCases[generator.below(4)],
                    instance: integer(),
                    endpoint: endpoint(),
                    detail: text(byteLimit: 250)
                )
            )
        case 2:
            .wanted(
                WantedState(
                    ballot: flag() ? ballot() : nil,
                    version: integer(),
                    model: flag() ? model() : nil
                )
            )
        case 3: .transfers(transferReport())
        default: .progress(launchReport())
        }
    }

    private mutating func transferReport() -> TransferReport {
        let transfers = (0..<generator.below(18)).map { _ in
            WorkerTransfer(
                node: node(),
                loaded: ByteCount(integer()),
                sent: ByteCount(integer()),
                perSecond: ByteCount(integer())
            )
        }
        return TransferReport(ballot: ballot(), number: integer(), transfers: transfers)
    }

    private mutating func launchReport() -> LaunchReport {
        let progress: UInt16? = flag() ? UInt16(generator.below(10_001)) : nil
        return LaunchReport(
            ballot: ballot(),
            number: integer(),
            model: model(),
            phase: LaunchPhase.allCases[generator.below(LaunchPhase.allCases.count)],
            progress: progress,
            message: text(byteLimit: 300),
            split: (0..<generator.below(20)).map { _ in integer() },
            shares: (0..<generator.below(20)).map { _ in share() }
        )
    }

    private mutating func share() -> DeviceShare {
        let first: UInt16 = integer()
        let device: UInt8? = flag() ? UInt8(generator.below(255)) : nil
        return DeviceShare(
            node: node(),
            device: device,
            first: first,
            end: first + UInt16(generator.below(Int(UInt16.max - first) + 1)),
            modelBytes: flag() ? ByteCount(integer() >> 1) : nil
        )
    }

    private mutating func updates() -> [MemberUpdate] {
        (0..<generator.below(6)).map { _ in update() }
    }

    private mutating func session() -> SessionID {
        SessionID(ballot: ballot(), number: integer())
    }

    private mutating func model() -> WantedModel {
        WantedModel(name: text(byteLimit: 255), context: integer())
    }

    private mutating func ballot() -> Ballot {
        Ballot(term: integer(), node: node())
    }

    private mutating func node() -> NodeID {
        NodeID(using: &generator)
    }

    private mutating func endpoint() -> Endpoint {
        let address: IPAddress =
            flag()
            ? .v4(integer()) : .v6(IPv6Bits(high: generator.next(), low: generator.next()))
        return Endpoint(address: address, port: integer())
    }

    private mutating func flag() -> Bool {
        generator.below(2) == 1
    }

    /// Small ones and large ones alike.
    private mutating func integer<Value: FixedWidthInteger & UnsignedInteger>() -> Value {
        Value(truncatingIfNeeded: generator.next() >> UInt64(generator.below(64)))
    }

    /// Characters of one to four bytes, and of several scalars.
    private mutating func text(byteLimit: Int) -> String {
        let characters = ["a", "Z", "0", " ", "\0", "\"", "ß", "€", "🚃", "e\u{301}", "👩‍💻"]
        var text = ""
        for _ in 0..<generator.below(byteLimit) {
            text += characters[generator.below(characters.count)]
        }
        return text.cut(toByteCount: byteLimit)
    }
}
