import Primitives
@testable import SecureChannel
import Testing

@Suite struct KeyTests {
    private static let vectors = ChannelVectors.all

    @Test func `the vectors are there`() {
        #expect(Self.vectors != nil)
    }

    @Test(arguments: vectors?.keys ?? [])
    func `what is derived from a key, and its join code, are those of the vector`(
        vector: ChannelVectors.Key
    ) throws {
        let key = try #require(ClusterKey(bytes: [UInt8](hex: vector.key)))
        #expect(JoinCode.text(for: key) == vector.joinCode)
        #expect(try JoinCode.key(from: vector.joinCode) == key)
        #expect(String(key.id, radix: 16) == vector.id.drop { $0 == "0" })
        let working = WorkingKey(key, cluster: vector.cluster)
        #expect(working.handshake == [UInt8](hex: vector.handshake))
        #expect(working.beacon == [UInt8](hex: vector.beacon))
        #expect(!"\(key)".contains(vector.key))
    }

    @Test(arguments: vectors?.joinCodes ?? [])
    func `a join code is read as the vector says`(vector: ChannelVectors.Code) {
        do {
            let key = try JoinCode.key(from: vector.text)
            #expect(vector.key.map { [UInt8](hex: $0) } == key.bytes, "\(vector.name)")
        } catch {
            switch error {
            case .wrongLength(let count):
                #expect(vector.error == "wrongLength" && vector.count == count)
            case .wrongCharacter: #expect(vector.error == "wrongCharacter")
            case .mistyped: #expect(vector.error == "mistyped")
            }
        }
    }

    @Test func `every typing error of one character is noticed`() {
        let code = JoinCode.text(for: .random())
        for index in code.indices where code[index] != "-" {
            for other in "07AZ" where other != code[index] {
                var typed = code
                typed.replaceSubrange(index...index, with: String(other))
                #expect(throws: JoinCode.Problem.mistyped) { try JoinCode.key(from: typed) }
            }
        }
    }

    @Test(arguments: vectors?.devices ?? [])
    func `a device's node is that of the vector`(vector: ChannelVectors.Device) throws {
        let identity = try #require(DeviceIdentity(secret: [UInt8](hex: vector.secret)))
        #expect(identity.publicKey == [UInt8](hex: vector.publicKey))
        #expect(identity.node.description == vector.node)
        #expect(DeviceIdentity(secret: identity.secret)?.node == identity.node)
        #expect(DeviceIdentity(secret: [1, 2, 3]) == nil)
    }

    @Test(arguments: vectors?.rings ?? [])
    func `a key ring is read as the vector says`(vector: ChannelVectors.Ring) throws {
        let bytes = [UInt8](hex: vector.hex)
        guard let fields = vector.fields else {
            do throws(SecureChannelError) {
                _ = try KeyRing(decoding: bytes.span, at: 1000)
                Issue.record("\(vector.name) was taken")
            } catch {
                #expect(error.reason == vector.error)
            }
            return
        }
        let ring = try KeyRing(decoding: bytes.span, at: 1000)
        #expect(ring.version == fields.version)
        #expect(ring.removed.map(\.description) == fields.removed)
        #expect(ring.entries.map(\.key.bytes) == fields.keys.map { [UInt8](hex: $0.key) })
        #expect(ring.entries.map(\.sealsFrom) == fields.keys.map { 1000 + $0.sealsIn })
        #expect(ring.entries.map(\.opensUntil) == fields.keys.map { $0.opensFor.map { 1000 + $0 } })
        #expect(ring.encoded(at: 1000) == bytes)
        for count in bytes.indices {
            let cut = Array(bytes.prefix(count))
            #expect(throws: SecureChannelError.self) { try KeyRing(decoding: cut.span, at: 0) }
        }
    }

    @Test(arguments: vectors?.farewells ?? [])
    func `a farewell is read as the vector says`(vector: ChannelVectors.Farewell) throws {
        let bytes = [UInt8](hex: vector.hex)
        let farewell = Farewell(decoding: bytes)
        #expect(farewell?.version == vector.fields?.version)
        #expect(farewell?.removed.map(\.description) == vector.fields?.removed)
        guard let farewell else { return }
        #expect(farewell.encoded() == bytes)
        // Who knows no farewells takes it for a ring that makes no sense.
        #expect(throws: SecureChannelError.self) { try KeyRing(decoding: bytes.span, at: 0) }
        for count in bytes.indices {
            #expect(Farewell(decoding: Array(bytes.prefix(count))) == nil)
        }
    }

    @Test func `a new key opens at once and seals later, and the old one stays a while`() {
        let old = ClusterKey.random()
        let new = ClusterKey.random()
        var ring = KeyRing(old)
        let before = ring
        ring.rotate(to: new, at: 1000)
        #expect(ring.isNewer(than: before) && !before.isNewer(than: ring))
        let during = ring.keys(cluster: "c", at: 1001)
        #expect(during.sealing.id == old.id)
        #expect(during.opening.map(\.id) == [new.id, old.id])
        let after = ring.keys(cluster: "c", at: 1000 + KeyRing.changeOver)
        #expect(after.sealing.id == new.id)
        #expect(after.opening.map(\.id) == [new.id, old.id])
        let late = ring.keys(cluster: "c", at: 1000 + KeyRing.gracePeriod)
        #expect(late.opening.map(\.id) == [new.id])
    }

    @Test func `removing a device ends the old key soon, and more rotations stay within bounds`() {
        let out = DeviceIdentity().node
        var ring = KeyRing(.random())
        ring.rotate(removing: out, at: 1000)
        #expect(ring.removed == [out])
        #expect(
            ring.keys(cluster: "c", at: 1000 + KeyRing.removalGracePeriod).opening.count == 1
        )
        for time in 0..<10 { ring.rotate(removing: out, at: 2000 + Int64(time)) }
        #expect(ring.entries.count == KeyRing.keyLimit)
        #expect(ring.removed == [out])
    }
}
