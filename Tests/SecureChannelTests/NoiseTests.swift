@testable import SecureChannel
import Testing

@Suite struct NoiseTests {
    @Test func `there are public vectors for both ciphers`() {
        let names = NoiseVectors.all.map(\.protocol)
        #expect(names.count >= 8)
        for cipher in ["AESGCM", "ChaChaPoly"] {
            #expect(names.contains("Noise_XXpsk3_25519_\(cipher)_SHA256"))
            #expect(names.contains("Noise_XXpsk0+psk3_25519_\(cipher)_SHA256"))
        }
    }

    @Test(arguments: NoiseVectors.all)
    func `both sides write and read what the public vector says`(
        vector: NoiseVectors.Vector
    ) throws {
        var (initiator, responder) = try Self.sides(vector)
        for (index, message) in vector.messages.prefix(3).enumerated() {
            let payload = [UInt8](hex: message.payload)
            let written: [UInt8]
            let read: [UInt8]
            if index.isMultiple(of: 2) {
                written = try initiator.write(payload)
                read = try responder.read(written[...])
            } else {
                written = try responder.write(payload)
                read = try initiator.read(written[...])
            }
            #expect(written == [UInt8](hex: message.ciphertext))
            #expect(read == payload)
        }
        var first = try initiator.finish()
        var second = try responder.finish()
        #expect(first.hash == second.hash)
        if let hash = vector.handshakeHash { #expect(first.hash == [UInt8](hex: hash)) }
        // The responder speaks next: messages go on in turns.
        for (index, message) in vector.messages.dropFirst(3).enumerated() {
            let payload = [UInt8](hex: message.payload)
            var sealed: [UInt8] = []
            var opened: [UInt8] = []
            if index.isMultiple(of: 2) {
                try second.sending.seal(payload[...], into: &sealed)
                try first.receiving.open(sealed[...], into: &opened)
            } else {
                try first.sending.seal(payload[...], into: &sealed)
                try second.receiving.open(sealed[...], into: &opened)
            }
            #expect(sealed == [UInt8](hex: message.ciphertext))
            #expect(opened == payload)
        }
    }

    private static func sides(
        _ vector: NoiseVectors.Vector
    ) throws -> (NoiseHandshake, NoiseHandshake) {
        let parts = vector.protocol.split(separator: "_")
        let suite: NoiseSuite = parts[3] == "AESGCM" ? .aesGCM : .chaChaPoly
        let places = parts[1].dropFirst(2).split(separator: "+").compactMap {
            Int($0.dropFirst(3))
        }
        func side(
            _ role: NoiseHandshake.Role,
            _ keys: [String],
            _ prologue: String,
            _ own: String,
            _ ephemeral: String
        ) throws -> NoiseHandshake {
            NoiseHandshake(
                role,
                suite: suite,
                presharedKeys: keys.map { [UInt8](hex: $0) },
                at: places,
                prologue: [UInt8](hex: prologue),
                identity: try #require(DeviceIdentity(secret: [UInt8](hex: own))),
                ephemeral: try secret(ephemeral)
            )
        }
        return (
            try side(
                .initiator,
                vector.initiatorPSKs,
                vector.initiatorPrologue,
                vector.initiatorStatic,
                vector.initiatorEphemeral
            ),
            try side(
                .responder,
                vector.responderPSKs,
                vector.responderPrologue,
                vector.responderStatic,
                vector.responderEphemeral
            )
        )
    }

    @Test func `a handshake out of turn, cut or altered is refused`() throws {
        let key = WorkingKey(ClusterKey.random(), cluster: "c")
        func side(_ role: NoiseHandshake.Role) -> NoiseHandshake {
            .ours(role, "test", suite: .chaChaPoly, key: key, identity: DeviceIdentity())
        }
        var initiator = side(.initiator)
        let responder = side(.responder)
        #expect(throws: SecureChannelError.outOfOrder) { try initiator.read([]) }
        #expect(throws: SecureChannelError.outOfOrder) { try initiator.finish() }
        let hello = try initiator.write([1, 2, 3])
        for count in 0..<hello.count {
            var copy = responder
            #expect(throws: SecureChannelError.self) { try copy.read(hello.prefix(count)) }
        }
        for index in hello.indices {
            var copy = responder
            var altered = hello
            altered[index] ^= 1
            #expect(throws: SecureChannelError.self) { try copy.read(altered[...]) }
        }
        var copy = responder
        let payload = try copy.read(hello[...])
        #expect(payload == [1, 2, 3])
        #expect(throws: SecureChannelError.outOfOrder) { try copy.read(hello[...]) }
    }
}
