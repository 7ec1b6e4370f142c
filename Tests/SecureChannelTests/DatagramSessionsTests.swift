import Primitives
@testable import SecureChannel
import Testing

/// Devices and the datagrams between them.
private struct Network {
    struct Device {
        let identity: DeviceIdentity
        var sessions: DatagramSessions
        var received: [String] = []
        var refused: [String] = []
    }

    var devices: [Endpoint: Device] = [:]
    var now = Instant.origin
    var sent: [(bytes: [UInt8], from: Endpoint, to: Endpoint)] = []
    /// Whether the n-th datagram gets lost.
    var loses: (Int) -> Bool = { _ in false }
    private var count = 0

    static func endpoint(_ number: UInt32) -> Endpoint {
        Endpoint(address: .v4(0x7F00_0000 + number), port: 1)
    }

    mutating func add(
        _ number: UInt32,
        _ ring: KeyRing,
        _ identity: DeviceIdentity = DeviceIdentity()
    ) {
        let own = Self.endpoint(number)
        // As a disk does, for whoever is started anew.
        let kept = devices[own]?.sessions.hellos.keep() ?? HelloLedger.Kept()
        devices[own] = Device(
            identity: identity,
            sessions: DatagramSessions(
                identity: identity,
                keys: ring.keys(cluster: "c", at: 0),
                hellos: HelloLedger(own: identity.node, kept: kept, time: 0) { $0 == own }
            )
        )
    }

    mutating func say(_ text: String, from: UInt32, to: UInt32) {
        let source = Self.endpoint(from)
        var bytes: [UInt8] = []
        let isSealed = devices[source]?.sessions.seal(
            Array(text.utf8),
            to: Self.endpoint(to),
            at: now,
            into: &bytes
        )
        if isSealed == true { transmit(bytes, from: source, to: Self.endpoint(to)) }
        flush(source)
    }

    private mutating func flush(_ source: Endpoint) {
        let outbox = devices[source]?.sessions.outbox ?? []
        devices[source]?.sessions.outbox = []
        for (bytes, endpoint) in outbox { transmit(bytes, from: source, to: endpoint) }
    }

    private mutating func transmit(_ bytes: [UInt8], from: Endpoint, to: Endpoint) {
        sent.append((bytes, from, to))
        count += 1
        guard !loses(count) else { return }
        deliver(bytes, from: from, to: to)
    }

    mutating func deliver(_ bytes: [UInt8], from: Endpoint, to: Endpoint) {
        var message: [UInt8] = []
        do throws(SecureChannelError) {
            let sender = try devices[to]?.sessions.open(bytes, from: from, at: now, into: &message)
            if let sender {
                devices[to]?.received.append(String(decoding: message, as: UTF8.self))
                #expect(sender == devices[from]?.identity.node)
            }
        } catch {
            devices[to]?.refused.append(error.reason)
        }
        flush(to)
    }

    mutating func wait(_ duration: Duration) {
        let end = now + duration
        while now < end {
            now += .milliseconds(100)
            for number in UInt32(1)...3 {
                let endpoint = Self.endpoint(number)
                guard devices[endpoint]?.sessions.isWaiting == true else { continue }
                devices[endpoint]?.sessions.retry(at: now)
                flush(endpoint)
            }
        }
    }

    func received(_ number: UInt32) -> [String] {
        devices[Self.endpoint(number)]?.received ?? []
    }

    func refused(_ number: UInt32) -> [String] {
        devices[Self.endpoint(number)]?.refused ?? []
    }

    func sessionCount(_ number: UInt32) -> Int {
        devices[Self.endpoint(number)]?.sessions.sessionCount ?? 0
    }
}

@Suite struct DatagramSessionsTests {
    private func pair() -> (Network, KeyRing) {
        let ring = KeyRing(.random())
        var network = Network()
        network.add(1, ring)
        network.add(2, ring)
        return (network, ring)
    }

    @Test func `the first message arrives after a handshake, later ones at once, both ways`() {
        var (network, _) = pair()
        network.say("one", from: 1, to: 2)
        network.say("two", from: 1, to: 2)
        network.say("three", from: 2, to: 1)
        #expect(network.received(2) == ["one", "two"])
        #expect(network.received(1) == ["three"])
        #expect(network.sessionCount(1) == 1 && network.sessionCount(2) == 1)
        #expect(network.sent.count == 6)
        let last = network.sent.last?.bytes ?? []
        #expect(last.count == "three".utf8.count + DatagramSessions.messageOverhead)
    }

    @Test(arguments: 1...40)
    func `whatever gets lost, messages flow within some seconds`(seed: UInt64) {
        var (network, _) = pair()
        let random = SeededGenerator(seed: seed)
        network.loses = { number in
            var draw = random.derived(UInt64(number))
            return draw.below(10) < 4
        }
        for number in 0..<40 {
            network.say("a\(number)", from: 1, to: 2)
            network.say("b\(number)", from: 2, to: 1)
            network.wait(.milliseconds(500))
        }
        #expect(network.received(2).count > 8 && network.received(1).count > 8)
        #expect(Set(network.received(2)).count == network.received(2).count)
        let expected = ["replayed", "repeated", "unknownSession"]
        #expect(network.refused(1).allSatisfy(expected.contains))
    }

    @Test func `nothing that was recorded opens again, here, elsewhere or in a later life`() throws
    {
        var (network, ring) = pair()
        network.add(3, ring)
        for number in 0..<20 { network.say("m\(number)", from: 1, to: 2) }
        network.say("answer", from: 2, to: 1)
        let recorded = network.sent
        let before = network.received(2)
        for (bytes, from, to) in recorded { network.deliver(bytes, from: from, to: to) }
        #expect(network.received(2) == before)
        #expect(network.refused(2).contains("replayed"))
        // At another device, which answers none of it.
        let sent = network.sent.count
        for (bytes, from, _) in recorded {
            network.deliver(bytes, from: from, to: Network.endpoint(3))
        }
        #expect(network.received(3).isEmpty)
        #expect(network.sessionCount(3) == 0)
        #expect(network.refused(3).contains("otherTarget"))
        // Both devices are started anew, with the same keys.
        for number in [UInt32(1), 2] {
            let identity = try #require(network.devices[Network.endpoint(number)]?.identity)
            network.add(number, ring, identity)
        }
        for (bytes, from, to) in recorded { network.deliver(bytes, from: from, to: to) }
        #expect(network.received(1).isEmpty && network.received(2).isEmpty)
        #expect(network.sessionCount(1) == 0 && network.sessionCount(2) == 0)
        #expect(network.refused(2).contains("replayed"))
        #expect(network.sent.count == sent)
    }

    @Test func `an altered byte anywhere is refused and changes nothing`() {
        var (network, _) = pair()
        network.say("hello", from: 1, to: 2)
        network.loses = { _ in true }
        network.say("altered", from: 1, to: 2)
        network.loses = { _ in false }
        let (bytes, from, to) = network.sent[network.sent.count - 1]
        for index in bytes.indices {
            var copy = bytes
            copy[index] ^= 0x40
            network.deliver(copy, from: from, to: to)
            network.deliver(Array(bytes.prefix(index)), from: from, to: to)
        }
        #expect(network.received(2) == ["hello"])
        #expect(network.refused(2).count == 2 * bytes.count)
        network.deliver(bytes, from: from, to: to)
        #expect(network.received(2) == ["hello", "altered"])
    }

    @Test func `who has another key, or none, is not answered and leaves nothing behind`() {
        var (network, _) = pair()
        network.add(3, KeyRing(.random()))
        network.say("let me in", from: 3, to: 2)
        network.wait(.seconds(3))
        #expect(network.sent.allSatisfy { $0.from == Network.endpoint(3) })
        #expect(Set(network.refused(2)) == ["unknownKey"])
        #expect(network.sessionCount(2) == 0)
        let key = ChannelVectors.all?.keys[0]
        let own = ClusterKey(bytes: [UInt8](hex: key?.key ?? ""))
        var sessions = DatagramSessions(
            identity: DeviceIdentity(),
            keys: KeyRing(own ?? .random()).keys(cluster: "caravan", at: 0),
            hellos: HelloLedger(own: DeviceIdentity().node, time: 0) { $0.address == .loopback }
        )
        for refused in ChannelVectors.all?.refused ?? [] {
            var message: [UInt8] = []
            do {
                _ = try sessions.open(
                    [UInt8](hex: refused.hex),
                    from: Network.endpoint(9),
                    at: .origin,
                    into: &message
                )
                Issue.record("\(refused.name) was taken")
            } catch {
                #expect(error.reason == refused.error, "\(refused.name)")
            }
            #expect(sessions.outbox.isEmpty && message.isEmpty && !sessions.isWaiting)
        }
    }

    @Test func `a device that was started anew is reached again within two seconds of silence`()
        throws
    {
        var (network, ring) = pair()
        network.say("one", from: 1, to: 2)
        let identity = try #require(network.devices[Network.endpoint(2)]?.identity)
        network.add(2, ring, identity)
        for number in 0..<25 {
            network.say("\(number)", from: 1, to: 2)
            network.wait(.milliseconds(100))
        }
        #expect(network.received(2).contains("24"))
        // The end of a handshake is said twice to who says nothing.
        let expected = ["unknownSession", "replayed", "repeated"]
        #expect(network.refused(2).allSatisfy(expected.contains))
    }

    @Test func `an altered hello is not answered, even right after the real one`() throws {
        var (network, _) = pair()
        network.say("one", from: 1, to: 2)
        let hello = try #require(network.sent.first)
        let (sent, sessions) = (network.sent.count, network.sessionCount(2))
        for place in [10, 60, hello.bytes.count - 1] where place < hello.bytes.count {
            var altered = hello.bytes
            altered[place] ^= 1
            network.deliver(altered, from: Network.endpoint(3), to: Network.endpoint(2))
        }
        #expect(network.sent.count == sent)
        #expect(network.refused(2).count >= 2)
        #expect(network.sessionCount(2) == sessions)
    }

    @Test func `a device does not answer what it has said itself`() throws {
        var (network, _) = pair()
        network.say("one", from: 1, to: 2)
        let hello = try #require(network.sent.first)
        let sent = network.sent.count
        network.deliver(hello.bytes, from: Network.endpoint(2), to: Network.endpoint(1))
        #expect(network.sent.count == sent)
        #expect(network.refused(1) == ["replayed"])
    }

    @Test func `who has the last word does not greet again`() {
        var (network, _) = pair()
        network.say("question", from: 1, to: 2)
        network.say("answer", from: 2, to: 1)
        let sent = network.sent.count
        for _ in 0..<5 {
            network.wait(.seconds(10))
            network.say("question", from: 1, to: 2)
            network.say("answer", from: 2, to: 1)
        }
        #expect(network.sent.count == sent + 10)
    }

    @Test func `a device that never answers costs few datagrams`() {
        var (network, _) = pair()
        network.devices[Network.endpoint(2)] = nil
        for _ in 0..<60 {
            network.say("hello?", from: 1, to: 2)
            network.wait(.seconds(1))
        }
        #expect(network.sent.count < 60)
        #expect((network.sent.map(\.bytes.count).max() ?? 0) <= 91)
    }

    @Test func `keys change without a lost message, and a removed device is out`() throws {
        var (network, ring) = pair()
        network.add(3, ring)
        for (from, to) in [(1, 2), (1, 3), (2, 3)] as [(UInt32, UInt32)] {
            network.say("a", from: from, to: to)
        }
        var next = ring
        let out = try #require(network.devices[Network.endpoint(3)]?.identity.node)
        next.rotate(removing: out, at: 0)
        let members = [UInt32(1), 2].compactMap {
            network.devices[Network.endpoint($0)]?.identity.node
        }
        let early = next.keys(cluster: "c", at: 1, veterans: members)
        // One has the new key, the other not yet.
        network.devices[Network.endpoint(1)]?.sessions.use(early)
        network.say("b", from: 1, to: 2)
        network.say("c", from: 2, to: 1)
        network.say("x", from: 3, to: 1)
        network.say("y", from: 1, to: 3)
        network.devices[Network.endpoint(2)]?.sessions.use(early)
        network.say("d", from: 1, to: 2)
        for number in [UInt32(1), 2] {
            network.devices[Network.endpoint(number)]?.sessions.use(
                next.keys(cluster: "c", at: KeyRing.removalGracePeriod)
            )
        }
        network.say("e", from: 1, to: 2)
        network.say("f", from: 2, to: 1)
        network.say("z", from: 3, to: 2)
        #expect(network.received(2) == ["a", "b", "d", "e"])
        #expect(network.received(1) == ["c", "f"])
        #expect(network.received(3) == ["a", "a"])
        #expect(network.refused(2).contains("unknownSession"))
    }

    @Test func `with the key that a removed device has nobody new comes in, on either side`() throws
    {
        var (network, ring) = pair()
        network.say("a", from: 1, to: 2)
        var next = ring
        next.rotate(removing: NodeID(UInt128(7)), at: 0)
        let members = [UInt32(1), 2].compactMap {
            network.devices[Network.endpoint($0)]?.identity.node
        }
        for number in [UInt32(1), 2] {
            network.devices[Network.endpoint(number)]?.sessions.use(
                next.keys(cluster: "c", at: 1, veterans: members)
            )
        }
        // Another device with the old code, who knows nothing of the new key.
        network.add(4, ring)
        network.say("x", from: 4, to: 1)
        network.say("y", from: 1, to: 4)
        #expect(network.received(1) == [])
        #expect(network.received(4) == [])
        #expect(network.refused(1).contains("closingKey"))
        // Members go on, with what they have agreed on and anew.
        network.say("b", from: 1, to: 2)
        network.add(2, ring, try #require(network.devices[Network.endpoint(2)]?.identity))
        network.say("c", from: 2, to: 1)
        #expect(network.received(1) == ["c"])
        #expect(network.refused(2).isEmpty)
        // With the new code anybody comes in.
        network.add(5, KeyRing(next.newest.key))
        network.say("d", from: 5, to: 1)
        #expect(network.received(1) == ["c", "d"])
    }
}
