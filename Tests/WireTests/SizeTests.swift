import LayerPlacement
import Primitives
import SWIM
import Testing
import Wire

/// What is said about sizes is what is written.
struct SizeTests {
    private static let node = NodeID(.max)
    private static let ballot = Ballot(term: .max, node: node)
    private static let endpoint = Endpoint(address: .v6(IPv6Bits(.max)), port: .max)
    /// More than may be told of everything.
    private static let largestFacts = DeviceFacts(
        name: String(repeating: "n", count: 100),
        engine: String(repeating: "e", count: 100),
        models: Array(repeating: .max, count: 40),
        condition: DeviceCondition(
            power: .battery(100),
            accelerators: String(repeating: "a", count: 100)
        ),
        policy: .quorum,
        gaps: Array(repeating: ReachGap(tag: .max, failures: .streams), count: 40),
        vocabulary: .current
    )

    @Test(arguments: 0..<20)
    func `gossip has the size that SWIM reckons with`(seed: UInt64) {
        var random = RandomMessages(seed: seed)
        for _ in 0..<500 {
            let message = random.gossip()
            let byteCount = Coding.encoded(.gossip(message)).count
            #expect(message.byteCount == 2 + byteCount)
            if case .update(let update) = message {
                #expect(update.byteCount == byteCount - 1)
            }
        }
    }

    @Test(arguments: 0..<20)
    func `facts have the size that SWIM reckons with`(seed: UInt64) {
        var random = RandomMessages(seed: seed)
        for _ in 0..<200 {
            let facts = random.facts()
            let update = MemberUpdate(
                id: Self.node,
                incarnation: 1,
                belief: .alive(endpoint: Self.endpoint, factsVersion: 1, facts: facts)
            )
            let bytes = Coding.encoded(.gossip(.update(update)))
            // Kind, state, node, incarnation, endpoint, version, length.
            #expect(bytes.count == 1 + 1 + 16 + 8 + 19 + 4 + 2 + facts.wireByteCount)
        }
    }

    @Test(arguments: [Endpoint(address: .loopback, port: 1), endpoint])
    func `an endpoint has the size that SWIM reckons with`(endpoint: Endpoint) {
        let request = GossipMessage.pingRequest(number: 1, target: Self.node, endpoint: endpoint)
        #expect(Coding.encoded(.gossip(request)).count == 1 + 4 + 16 + endpoint.wireByteCount)
    }

    @Test(arguments: 0..<20)
    func `random messages and frames survive the way`(seed: UInt64) throws {
        var random = RandomMessages(seed: seed)
        for _ in 0..<300 {
            let message = random.message()
            let bytes = Coding.encoded(message)
            #expect(try Coding.message(bytes) == message)
            #expect(WireHeader.byteCount + 2 + bytes.count <= Datagram.byteLimit)
            let frame = random.frame()
            #expect(try Frame(decoding: Coding.encoded(frame).span) == frame)
        }
    }

    @Test func `a launch report at its limits fits in a datagram`() {
        let share = DeviceShare(
            node: Self.node,
            device: nil,
            first: .max,
            end: .max,
            modelBytes: nil
        )
        let report = LaunchReport(
            ballot: Self.ballot,
            number: .max,
            model: WantedModel(name: String(repeating: "m", count: 400), context: .max),
            phase: .failed,
            progress: nil,
            message: String(repeating: "!", count: 400),
            split: Array(repeating: .max, count: 40),
            shares: Array(repeating: share, count: 40)
        )
        let datagram = Datagram(header: Coding.header, messages: [.placement(.progress(report))])
        let byteCount = Coding.encoded(datagram).count
        #expect(byteCount == 1126)
        #expect(byteCount <= Datagram.byteLimit)
    }

    @Test func `a digest, a ping and an update at its limits fit in a datagram`() {
        let facts = Self.largestFacts
        #expect(facts.wireByteCount == 426)
        let update = GossipMessage.update(
            MemberUpdate(
                id: Self.node,
                incarnation: .max,
                belief: .alive(endpoint: Self.endpoint, factsVersion: .max, facts: facts)
            )
        )
        let ping = GossipMessage.ping(number: .max, target: Self.node)
        let datagram = Datagram(
            header: Coding.header,
            messages: [.gossip(.digest(.max)), .gossip(ping), .gossip(update)]
        )
        let byteCount = Coding.encoded(datagram).count
        #expect(update.byteCount == 479)
        #expect(byteCount == 28 + 7 + 23 + 479)
        #expect(byteCount <= Datagram.byteLimit)
    }

    @Test func `a sync of as many members as are told fits in a frame`() throws {
        var random = RandomMessages(seed: 1)
        let facts = Self.largestFacts
        let largest = MemberUpdate(
            id: Self.node,
            incarnation: .max,
            belief: .alive(endpoint: Self.endpoint, factsVersion: .max, facts: facts)
        )
        let many = Array(repeating: largest, count: Frame.updateLimit + 1)
        let bytes = Coding.encoded(.syncReply(many))
        #expect(bytes.count == 1 + 2 + Frame.updateLimit * 476)
        #expect(bytes.count <= Frame.byteLimit)
        #expect(try Frame(decoding: bytes.span) == .syncReply(many.dropLast()))
        #expect(random.update().byteCount <= largest.byteCount)
    }

    @Test func `the scope of an address does not travel`() throws {
        let linkLocal = try #require(Endpoint("[fe80::1%3]:80"))
        let request = Message.gossip(
            .pingRequest(number: 1, target: Self.node, endpoint: linkLocal)
        )
        let expected = try #require(Endpoint("[fe80::1]:80"))
        #expect(
            try Coding.message(Coding.encoded(request))
                == .gossip(.pingRequest(number: 1, target: Self.node, endpoint: expected))
        )
    }

    @Test func `an encoder replaces what the buffer held`() {
        let datagram = Datagram(header: Coding.header, messages: [.gossip(.ack(number: 1))])
        var bytes = [UInt8](repeating: 9, count: 100)
        datagram.encode(into: &bytes)
        #expect(bytes == Coding.encoded(datagram))
    }
}
