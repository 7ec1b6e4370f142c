import Primitives
@testable import SecureChannel
import Testing

@Suite struct BeaconSealTests {
    @Test func `beacons open once, in order, and only with the key`() throws {
        let keys = KeyRing(.random()).keys(cluster: "c", at: 0)
        let node = DeviceIdentity().node
        var sender = BeaconSeal(own: node, keys: keys)
        var receiver = BeaconSeal(own: DeviceIdentity().node, keys: keys)
        let first = sender.seal([1, 2, 3], time: 1000)
        let second = sender.seal([4], time: 1000)
        #expect(first.count == 3 + BeaconSeal.overhead)
        let opened = try receiver.open(first, time: 2000, uptime: 2000)
        #expect(opened.sender == node && opened.message == [1, 2, 3])
        // Beacons go out over several ways.
        #expect(throws: SecureChannelError.repeated) {
            try receiver.open(first, time: 2000, uptime: 2000)
        }
        let later = try receiver.open(second, time: 2000, uptime: 2000)
        #expect(later.message == [4])
        #expect(throws: SecureChannelError.replayed) {
            try receiver.open(first, time: 2000, uptime: 2000)
        }
        var stranger = BeaconSeal(
            own: DeviceIdentity().node,
            keys: KeyRing(.random()).keys(cluster: "c", at: 0)
        )
        #expect(throws: SecureChannelError.self) {
            try stranger.open(second, time: 2000, uptime: 2000)
        }
        let third = sender.seal([5], time: 2000)
        for index in third.indices {
            var altered = third
            altered[index] ^= 1
            #expect(throws: SecureChannelError.self) {
                try receiver.open(altered, time: 2000, uptime: 2000)
            }
            let cut = Array(third.prefix(index))
            #expect(throws: SecureChannelError.self) {
                try receiver.open(cut, time: 2000, uptime: 2000)
            }
        }
        let last = try receiver.open(third, time: 2000, uptime: 2000)
        #expect(last.message == [5])
    }

    @Test func `beacons are those of the vectors`() throws {
        let vectors = try #require(ChannelVectors.all)
        let own = try #require(NodeID(vectors.devices[1].node))
        let key = try #require(ClusterKey(bytes: [UInt8](hex: vectors.keys[0].key)))
        var ring = KeyRing(key)
        ring.rotate(removing: NodeID(UInt128.max / 255 * 0xEE), at: 0)
        let keys = ring.keys(cluster: vectors.keys[0].cluster, at: 0)
        var receiver = BeaconSeal(own: own, keys: keys)
        for vector in vectors.beacons {
            do throws(SecureChannelError) {
                let (sender, message) = try receiver.open(
                    [UInt8](hex: vector.hex),
                    time: vector.time,
                    uptime: vector.uptime
                )
                #expect(sender.description == vector.fields?.sender, "\(vector.name)")
                #expect(vector.fields.map { [UInt8](hex: $0.message) } == message)
            } catch {
                #expect(error.reason == vector.error, "\(vector.name): \(error)")
            }
        }
        #expect(vectors.beacons.count > 15)
    }

    @Test(arguments: 1...200)
    func `of two devices whose clocks say anything one takes the other's beacons`(
        seed: UInt64
    ) throws {
        var random = SeededGenerator(seed: seed)
        let keys = KeyRing(.random()).keys(cluster: "c", at: 0)
        let limit = Int(BeaconSeal.ageLimit)
        let clocks = (0..<2).map { _ in 1_000_000_000 + random.below(3 * limit) }
        let uptimes = (0..<2).map { _ in random.below(2 * limit) }
        let nodes = [NodeID(1), NodeID(2)]
        let taken = zip(nodes, clocks).enumerated().count { index, sender in
            var seal = BeaconSeal(own: sender.0, keys: keys)
            let other = 1 - index
            var receiver = BeaconSeal(own: nodes[other], keys: keys)
            let beacon = seal.seal([1], time: UInt64(sender.1))
            let opened = try? receiver.open(
                beacon,
                time: UInt64(clocks[other]),
                uptime: UInt64(uptimes[other])
            )
            return opened != nil
        }
        #expect(taken >= 1, "clocks \(clocks), uptimes \(uptimes)")
    }
}
