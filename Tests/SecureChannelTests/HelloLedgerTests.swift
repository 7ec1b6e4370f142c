import Primitives
@testable import SecureChannel
import Testing

@Suite struct HelloLedgerTests {
    private static let keys = KeyRing(.random()).keys(cluster: "c", at: 0)
    private static let target = Endpoint(address: .loopback, port: 7)

    private func ledger(
        _ number: UInt128,
        _ kept: HelloLedger.Kept = HelloLedger.Kept(),
        time: UInt64 = 100
    ) -> HelloLedger {
        HelloLedger(own: NodeID(number), kept: kept, time: time) { $0 == Self.target }
    }

    /// The name of the error; nil if it was taken.
    private func refusal(_ greeting: [UInt8], by ledger: inout HelloLedger) -> String? {
        do throws(SecureChannelError) {
            _ = try ledger.take(greeting[...], Self.keys, under: Self.keys.sealing.id)
            return nil
        } catch {
            return error.reason
        }
    }

    @Test func `greetings are those of the vectors`() throws {
        let vectors = try #require(ChannelVectors.all)
        let own = try #require(NodeID(vectors.devices[1].node))
        let removed = NodeID(UInt128.max / 255 * 0xEE)
        var ring = KeyRing(.random())
        ring.rotate(removing: removed, at: 0)
        let keys = ring.keys(cluster: "c", at: 0)
        let addresses = [IPAddress.loopback, try #require(IPAddress("fe80::9"))]
        var reader = HelloLedger(own: own, time: 0) {
            $0.port == 52_414 && addresses.contains($0.address)
        }
        for vector in vectors.greetings {
            let bytes = [UInt8](hex: vector.hex)
            do throws(SecureChannelError) {
                let sender = try reader.take(bytes[...], keys, under: keys.opening[0].id)
                #expect(sender.description == vector.fields?.sender, "\(vector.name)")
            } catch {
                #expect(error.reason == vector.error, "\(vector.name)")
            }
            guard let fields = vector.fields else { continue }
            var writer = HelloLedger(
                own: try #require(NodeID(fields.sender)),
                time: fields.number
            ) { _ in false }
            let target = try #require(Endpoint(fields.target))
            #expect(writer.greeting(to: target) == bytes, "\(vector.name)")
        }
        #expect(vectors.greetings.count > 10)
    }

    @Test(arguments: 1...20)
    func `each is taken once, in whatever order they come`(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var (sender, receiver) = (ledger(1), ledger(2))
        let greetings = (0..<200).map { _ in sender.greeting(to: Self.target) }
        var taken: Set<Int> = []
        for number in greetings.indices {
            // Overtakes by less than the limit, and much comes twice.
            let place = max(0, number - random.below(HelloLedger.recentLimit))
            let refusal = refusal(greetings[place], by: &receiver)
            #expect((refusal == nil) == taken.insert(place).inserted)
        }
        #expect(taken.count > 20)
        for greeting in greetings where !taken.contains(greetings.firstIndex(of: greeting) ?? 0) {
            _ = self.refusal(greeting, by: &receiver)
        }
        for greeting in greetings {
            #expect(self.refusal(greeting, by: &receiver) == "replayed")
        }
    }

    @Test func `a later life takes nothing that this one took, and says nothing twice`() {
        var (sender, receiver) = (ledger(1), ledger(2))
        let greetings = (0..<3).map { _ in sender.greeting(to: Self.target) }
        for greeting in greetings { #expect(refusal(greeting, by: &receiver) == nil) }
        #expect(receiver.isChanged)
        var later = ledger(2, receiver.keep())
        #expect(!receiver.isChanged)
        for greeting in greetings { #expect(refusal(greeting, by: &later) == "replayed") }
        // The sender's clock was set back.
        var sendersLater = ledger(1, sender.keep(), time: 0)
        #expect(refusal(sendersLater.greeting(to: Self.target), by: &later) == nil)
    }

    @Test func `numbers are set aside before they are used`() {
        var ledger = ledger(1, time: 0)
        var kept = ledger.keep()
        for number in 1...2 * HelloLedger.reserve {
            _ = ledger.greeting(to: Self.target)
            if ledger.isChanged { kept = ledger.keep() }
            guard kept.next > number else {
                Issue.record("\(number) was used before \(kept.next)")
                return
            }
        }
    }

    @Test func `only so many senders are remembered, and the silent ones give way`() {
        var receiver = ledger(0)
        func greeting(_ number: Int) -> [UInt8] {
            var sender = ledger(UInt128(number), time: 5)
            return sender.greeting(to: Self.target)
        }
        let count = HelloLedger.senderLimit
        for number in 1...count { #expect(refusal(greeting(number), by: &receiver) == nil) }
        // The first one speaks again, so the second has been silent for longest.
        var first = ledger(1, time: 6)
        #expect(refusal(first.greeting(to: Self.target), by: &receiver) == nil)
        #expect(refusal(greeting(count + 1), by: &receiver) == nil)
        #expect(refusal(greeting(1), by: &receiver) == "replayed")
        #expect(refusal(greeting(2), by: &receiver) == nil)
        #expect(receiver.keep().heard.count == count)
    }
}
