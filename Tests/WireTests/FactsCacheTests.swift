import Primitives
import SWIM
import Testing
import Wire

struct FactsCacheTests {
    @Test func `what was heard before is read as the same, whoever was heard meanwhile`() throws {
        var random = RandomMessages(seed: 7)
        let messages = (0..<12).map { _ in Message.gossip(.update(random.update())) }
        let whole = messages.map { message in
            Coding.encoded(Datagram(header: Coding.header, messages: [message, message]))
        }
        // Too small for all, so that some are forgotten all the time.
        let reader = DatagramReader(cluster: Coding.cluster, facts: FactsCache(slotCount: 4))
        for round in 0..<50 {
            for (bytes, message) in zip(whole, messages) {
                let datagram = try reader.read(bytes.span)
                #expect(datagram.messages == [message, message], "round \(round)")
                #expect(Coding.encoded(datagram) == bytes)
                #expect(throws: WireError.self) {
                    _ = try reader.read(bytes.span.extracting(0..<bytes.count - 1))
                }
            }
        }
    }

    @Test func `facts of a newer version are told as this one writes them, each time`() throws {
        let facts = DeviceFacts(name: "anna", engine: "0.7.0", models: [1, 2])
        let update = MemberUpdate(
            id: NodeID(1),
            incarnation: 1,
            belief: .alive(
                endpoint: Endpoint(address: .loopback, port: 1),
                factsVersion: 1,
                facts: facts
            )
        )
        let message = Message.gossip(.update(update))
        var bytes = Coding.encoded(message)
        // A later version's block has the vocabulary before its own fields.
        let length = bytes.count - facts.wireByteCount - 2
        bytes[length + 1] += 3
        bytes += [0, 8, 9]
        var whole = Coding.headerBytes
        whole.append(bigEndian: UInt16(bytes.count))
        whole += bytes
        let reader = DatagramReader(cluster: Coding.cluster, facts: FactsCache())
        for _ in 0..<3 {
            let datagram = try reader.read(whole.span)
            #expect(datagram.messages == [message])
            #expect(datagram.messages.map { Coding.encoded($0) } == [Coding.encoded(message)])
        }
    }
}
