internal import Crypto
internal import FoundationEssentials

/// A handshake of the pattern XX of the Noise protocol framework (revision 34), with 25519 and
/// SHA-256 and any number of pre-shared keys: a state machine without sockets.
///
///     XX: -> e    <- e, ee, s, es    -> s, se
///
/// Each side writes and reads in turn; after three messages `finish` gives the channel.
package struct NoiseHandshake: Sendable {
    package enum Role: Sendable {
        case initiator
        case responder
    }

    private enum Token {
        case ephemeral, own, ee, es, se, preshared
    }

    /// The largest message of the framework.
    package static let messageByteLimit = 65_535
    package static let keyByteCount = 32
    private static let messageCount = 3

    private let role: Role
    private let pattern: [[Token]]
    private var symmetric: NoiseSymmetricState
    private var presharedKeys: ArraySlice<[UInt8]>
    private let own: Curve25519.KeyAgreement.PrivateKey
    private let ephemeral: Curve25519.KeyAgreement.PrivateKey
    private var remote: Curve25519.KeyAgreement.PublicKey?
    private var remoteEphemeral: Curve25519.KeyAgreement.PublicKey?
    private var nextMessage = 0

    /// - Parameters:
    ///   - places: after which messages the pre-shared keys are mixed in; 0 is before the first
    ///     (Noise §9.4).
    ///   - ephemeral: for test vectors only.
    init(
        _ role: Role,
        suite: NoiseSuite,
        presharedKeys: [[UInt8]] = [],
        at places: [Int] = [],
        prologue: [UInt8],
        identity: DeviceIdentity,
        ephemeral: Curve25519.KeyAgreement.PrivateKey = .init()
    ) {
        precondition(presharedKeys.count == places.count, "each key has its place")
        var pattern: [[Token]] = [[.ephemeral], [.ephemeral, .ee, .own, .es], [.own, .se]]
        for place in places {
            if place == 0 {
                pattern[0].insert(.preshared, at: 0)
            } else {
                pattern[place - 1].append(.preshared)
            }
        }
        let modifiers = places.map { "psk\($0)" }.joined(separator: "+")
        symmetric = NoiseSymmetricState(
            name: "Noise_XX\(modifiers)_25519_\(suite.name)_SHA256",
            suite: suite
        )
        symmetric.mixHash(prologue)
        self.role = role
        self.pattern = pattern
        self.presharedKeys = presharedKeys[...]
        own = identity.privateKey
        self.ephemeral = ephemeral
    }

    package var isComplete: Bool { nextMessage == Self.messageCount }

    private var isOurTurn: Bool {
        switch role {
        case .initiator: nextMessage.isMultiple(of: 2)
        case .responder: !nextMessage.isMultiple(of: 2)
        }
    }

    /// The next message of ours.
    package mutating func write(_ payload: [UInt8] = []) throws(SecureChannelError) -> [UInt8] {
        guard !isComplete, isOurTurn else { throw .outOfOrder }
        var message: [UInt8] = []
        for token in pattern[nextMessage] {
            switch token {
            case .ephemeral:
                let bytes = [UInt8](ephemeral.publicKey.rawRepresentation)
                message += bytes
                mixEphemeral(bytes)
            case .own:
                try symmetric.seal([UInt8](own.publicKey.rawRepresentation)[...], into: &message)
            case .ee, .es, .se, .preshared: try mix(token)
            }
        }
        try symmetric.seal(payload[...], into: &message)
        nextMessage += 1
        return message
    }

    /// Reads the next message of the other side, and gives its payload.
    ///
    /// After an error the handshake is of no use any more.
    package mutating func read(
        _ message: ArraySlice<UInt8>
    ) throws(SecureChannelError) -> [UInt8] {
        guard !isComplete, !isOurTurn else { throw .outOfOrder }
        var rest = message
        for token in pattern[nextMessage] {
            switch token {
            case .ephemeral:
                let bytes = [UInt8](try Self.take(Self.keyByteCount, of: &rest))
                remoteEphemeral = try Self.publicKey(bytes)
                mixEphemeral(bytes)
            case .own:
                let sealed = try Self.take(
                    Self.keyByteCount + (symmetric.hasKey ? NoiseCipher.tagByteCount : 0),
                    of: &rest
                )
                var bytes: [UInt8] = []
                try symmetric.open(sealed, into: &bytes)
                remote = try Self.publicKey(bytes)
            case .ee, .es, .se, .preshared: try mix(token)
            }
        }
        var payload: [UInt8] = []
        try symmetric.open(rest, into: &payload)
        nextMessage += 1
        return payload
    }

    /// What the handshake leads to.
    package func finish() throws(SecureChannelError) -> NoiseChannel {
        guard isComplete, let remote else { throw .outOfOrder }
        let (first, second) = symmetric.split()
        return NoiseChannel(
            sending: role == .initiator ? first : second,
            receiving: role == .initiator ? second : first,
            remote: [UInt8](remote.rawRepresentation),
            hash: symmetric.hash
        )
    }

    // MARK: - Tokens

    private mutating func mixEphemeral(_ bytes: [UInt8]) {
        symmetric.mixHash(bytes)
        // Only with pre-shared keys (Noise §9.2).
        if pattern.joined().contains(.preshared) { symmetric.mixKey(bytes) }
    }

    private mutating func mix(_ token: Token) throws(SecureChannelError) {
        let isInitiator = role == .initiator
        switch token {
        case .ee: try mixKey(ephemeral, remoteEphemeral)
        case .es: try isInitiator ? mixKey(ephemeral, remote) : mixKey(own, remoteEphemeral)
        case .se: try isInitiator ? mixKey(own, remoteEphemeral) : mixKey(ephemeral, remote)
        case .preshared:
            guard let key = presharedKeys.popFirst() else { throw .outOfOrder }
            symmetric.mixKeyAndHash(key)
        case .ephemeral, .own: break
        }
    }

    private mutating func mixKey(
        _ ours: Curve25519.KeyAgreement.PrivateKey,
        _ theirs: Curve25519.KeyAgreement.PublicKey?
    ) throws(SecureChannelError) {
        guard let theirs else { throw .outOfOrder }
        do {
            // Refuses points that would make the result zero.
            symmetric.mixKey(
                SymmetricKey(data: try ours.sharedSecretFromKeyAgreement(with: theirs))
            )
        } catch {
            throw .doesNotOpen
        }
    }

    private static func publicKey(
        _ bytes: [UInt8]
    ) throws(SecureChannelError) -> Curve25519.KeyAgreement.PublicKey {
        do {
            return try Curve25519.KeyAgreement.PublicKey(rawRepresentation: bytes)
        } catch {
            throw .doesNotOpen
        }
    }

    private static func take(
        _ count: Int,
        of bytes: inout ArraySlice<UInt8>
    ) throws(SecureChannelError) -> ArraySlice<UInt8> {
        guard bytes.count >= count else {
            throw .truncated(needed: count, available: bytes.count)
        }
        defer { bytes = bytes.dropFirst(count) }
        return bytes.prefix(count)
    }
}

/// Two keys, one a direction, and who is at the other end.
package struct NoiseChannel: Sendable {
    package var sending: NoiseCipher
    package var receiving: NoiseCipher
    /// The other side's public key.
    package let remote: [UInt8]
    /// Differs for every handshake; both sides have the same.
    package let hash: [UInt8]
}
