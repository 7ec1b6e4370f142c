import Primitives
@testable import SecureChannel
import Testing

@Suite struct StreamSealTests {
    private struct Side {
        var seal: StreamSeal
        var hellos: HelloLedger
        var events: [StreamSeal.Event] = []

        mutating func take(_ bytes: [UInt8]) throws(SecureChannelError) -> [UInt8] {
            var answer: [UInt8] = []
            try seal.receive(bytes, hellos: &hellos, answer: &answer, events: &events)
            return answer
        }

        var text: [UInt8] {
            events.reduce(into: []) { all, event in
                if case .received(let bytes) = event { all += bytes }
            }
        }
    }

    private static let keys = KeyRing(.random()).keys(cluster: "c", at: 0)
    private static let target = Endpoint(address: .loopback, port: 7)

    /// A device that is reached at the target.
    private static func accepting(
        _ identity: DeviceIdentity = DeviceIdentity(),
        kept: HelloLedger.Kept = HelloLedger.Kept()
    ) -> Side {
        Side(
            seal: StreamSeal(accepting: identity, keys: keys),
            hellos: HelloLedger(own: identity.node, kept: kept, time: 0) { $0 == target }
        )
    }

    private func sides(
        _ suite: NoiseSuite = .chaChaPoly,
        _ purpose: StreamPurpose = .frames
    ) throws -> (Side, Side, hello: [UInt8], nodes: [NodeID]) {
        let first = DeviceIdentity()
        let second = DeviceIdentity()
        var hellos = HelloLedger(own: first.node, time: 1) { _ in false }
        let (seal, hello) = try StreamSeal.connecting(
            to: Self.target,
            for: purpose,
            suite: suite,
            identity: first,
            keys: Self.keys,
            hellos: &hellos
        )
        return (
            Side(seal: seal, hellos: hellos), Self.accepting(second), hello,
            [first.node, second.node]
        )
    }

    @Test(arguments: NoiseSuite.allCases, [1, 7, 100_000])
    func `a stream opens and carries bytes both ways, whatever the pieces`(
        suite: NoiseSuite,
        piece: Int
    ) throws {
        var (first, second, hello, nodes) = try sides(suite, .keys)
        func pass(_ bytes: [UInt8], to side: inout Side) throws -> [UInt8] {
            var answer: [UInt8] = []
            for start in stride(from: 0, to: bytes.count, by: piece) {
                answer += try side.take(Array(bytes[start..<min(bytes.count, start + piece)]))
            }
            return answer
        }
        let reply = try pass(hello, to: &second)
        var finish = try pass(reply, to: &first)
        #expect(first.events == [.established(nodes[1], .keys)])
        let long = (0..<200_000).map { UInt8(truncatingIfNeeded: $0 / 7) }
        // The side that connected may speak before its last message has arrived.
        try first.seal.seal(long, into: &finish)
        first.seal.end(into: &finish)
        _ = try pass(finish, to: &second)
        #expect(second.events.first == .established(nodes[0], .keys))
        #expect(second.text == long)
        #expect(second.events.last == .ended)
        var back: [UInt8] = []
        try second.seal.seal([1, 2, 3], into: &back)
        _ = try pass(back, to: &first)
        #expect(first.text == [1, 2, 3])
        #expect(throws: SecureChannelError.outOfOrder) {
            var more: [UInt8] = []
            try first.seal.seal([1], into: &more)
        }
    }

    @Test func `a recorded stream that is played back gets no answer`() throws {
        var (first, second, hello, _) = try sides()
        let reply = try second.take(hello)
        var rest = try first.take(reply)
        try first.seal.seal([1, 2, 3], into: &rest)
        _ = try second.take(rest)
        var again = Self.accepting()
        again.hellos = second.hellos
        #expect(throws: SecureChannelError.replayed) { try again.take(hello + rest) }
        // Nor after the device was started again.
        var later = Self.accepting(kept: second.hellos.keep())
        #expect(throws: SecureChannelError.replayed) { try later.take(hello) }
        // Nor at another one.
        var other = Self.accepting()
        other.hellos = HelloLedger(own: DeviceIdentity().node, time: 0) { $0.port == 8 }
        #expect(throws: SecureChannelError.otherTarget(Self.target)) { try other.take(hello) }
        #expect(again.events + later.events + other.events == [])
    }

    @Test func `who greets in another device's name is not let in`() throws {
        var second = Self.accepting()
        let (first, named) = (DeviceIdentity(), DeviceIdentity())
        var hellos = HelloLedger(own: named.node, time: 1) { _ in false }
        let (seal, hello) = try StreamSeal.connecting(
            to: Self.target,
            for: .frames,
            suite: .chaChaPoly,
            identity: first,
            keys: Self.keys,
            hellos: &hellos
        )
        var liar = Side(seal: seal, hellos: hellos)
        let finish = try liar.take(try second.take(hello))
        #expect(throws: SecureChannelError.otherSender) { try second.take(finish) }
        #expect(second.events.isEmpty)
    }

    @Test func `every altered byte of a stream is noticed, in its handshake and in its records`()
        throws
    {
        let (first, second, hello, _) = try sides()
        for index in hello.indices {
            var copy = second
            var altered = hello
            altered[index] ^= 1
            // A longer length only makes it wait.
            let answer = try? copy.take(altered)
            #expect(answer?.isEmpty ?? true)
        }
        var open = (first, second)
        let reply = try open.1.take(hello)
        for index in reply.indices {
            var copy = open.0
            var altered = reply
            altered[index] ^= 1
            #expect((try? copy.take(altered))?.isEmpty ?? true)
        }
        _ = try open.1.take(try open.0.take(reply))
        var record: [UInt8] = []
        try open.0.seal.seal(Array("secret".utf8), into: &record)
        for index in record.indices {
            var copy = open.1
            var altered = record
            altered[index] ^= 1
            _ = try? copy.take(altered + record)
            #expect(copy.text.isEmpty)
        }
    }

    @Test func `strangers and endless beginnings are refused at once`() throws {
        let accepting = Self.accepting()
        let id = Self.keys.sealing.id
        let cases: [([UInt8], SecureChannelError)] = [
            (Array("GET / HTTP/1.1".utf8), .badMagic(0x4745)),
            ([0xCA, 0x5E, 9, 1, 0, 0, 0, 0], .unsupportedVersion(9, supported: 1)),
            (SealedHeader.bytes(7, id), .badValue(field: "suite", value: 7)),
            (SealedHeader.bytes(1, id &+ 1), .unknownKey(id &+ 1)),
            (SealedHeader.bytes(1, id) + [0xFF, 0xFF], .tooLong(byteCount: 65_535, limit: 256)),
        ]
        for (bytes, error) in cases {
            var side = accepting
            #expect(throws: error) { try side.take(bytes) }
        }
    }

    @Test(arguments: ChannelVectors.all?.handshakes ?? [])
    func `handshakes, records and messages are those of the vector`(
        vector: ChannelVectors.Handshake
    ) throws {
        let suite: NoiseSuite = vector.suite == "AESGCM" ? .aesGCM : .chaChaPoly
        let key = try #require(ClusterKey(bytes: [UInt8](hex: vector.key)))
        let working = WorkingKey(key, cluster: vector.cluster)
        func side(
            _ role: NoiseHandshake.Role,
            _ own: String,
            _ ephemeral: String
        ) throws -> NoiseHandshake {
            .ours(
                role,
                vector.use,
                suite: suite,
                key: working,
                identity: try #require(DeviceIdentity(secret: [UInt8](hex: own))),
                ephemeral: try secret(ephemeral)
            )
        }
        var first = try side(.initiator, vector.initiatorStatic, vector.initiatorEphemeral)
        var second = try side(.responder, vector.responderStatic, vector.responderEphemeral)
        let payloads = vector.payloads.map { [UInt8](hex: $0) }
        let messages = vector.messages.map { [UInt8](hex: $0) }
        let step1 = try first.write(payloads[0])
        #expect(step1 == messages[0])
        let step2 = try second.read(messages[0][...])
        #expect(step2 == payloads[0])
        let step3 = try second.write(payloads[1])
        #expect(step3 == messages[1])
        let step4 = try first.read(messages[1][...])
        #expect(step4 == payloads[1])
        let step5 = try first.write(payloads[2])
        #expect(step5 == messages[2])
        let step6 = try second.read(messages[2][...])
        #expect(step6 == payloads[2])
        var channel = try first.finish()
        #expect(channel.hash == [UInt8](hex: vector.hash))
        if let records = vector.sent.records {
            var layer = RecordLayer(channel)
            var sealed: [UInt8] = []
            try layer.seal([UInt8](hex: records[0].plain)[...], into: &sealed)
            try layer.end(into: &sealed)
            #expect(sealed == records.flatMap { [UInt8](hex: $0.sealed) })
        }
        if let data = vector.sent.data {
            var sealed = SealedHeader.bytes(4, 42)
            sealed.append(bigEndian: 0 as UInt64)
            let header = sealed[...]
            try channel.sending.seal([UInt8](hex: data.plain)[...], with: header, into: &sealed)
            #expect(sealed == [UInt8](hex: data.sealed))
        }
    }
}
