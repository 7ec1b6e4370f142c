internal import Crypto
internal import FoundationEssentials

/// What both sides of a handshake know so far, folded into a hash and a key (Noise §5.2).
struct NoiseSymmetricState: Sendable {
    private let suite: NoiseSuite
    private(set) var hash: [UInt8]
    private var chainingKey: [UInt8]
    private var cipher: NoiseCipher?

    init(name: String, suite: NoiseSuite) {
        let bytes = Array(name.utf8)
        // SHA-256 has 32 bytes.
        hash =
            bytes.count <= SHA256.byteCount
            ? bytes + [UInt8](repeating: 0, count: SHA256.byteCount - bytes.count)
            : [UInt8](SHA256.hash(data: bytes))
        chainingKey = hash
        self.suite = suite
    }

    var hasKey: Bool { cipher != nil }

    mutating func mixHash(_ bytes: some Sequence<UInt8>) {
        hash = [UInt8](SHA256.hash(data: hash + bytes))
    }

    mutating func mixKey(_ bytes: [UInt8]) {
        mixKey(SymmetricKey(data: bytes))
    }

    mutating func mixKey(_ material: SymmetricKey) {
        let outputs = derive(material, count: 2)
        chainingKey = outputs[0]
        cipher = NoiseCipher(suite, key: outputs[1])
    }

    mutating func mixKeyAndHash(_ bytes: [UInt8]) {
        let outputs = derive(SymmetricKey(data: bytes), count: 3)
        chainingKey = outputs[0]
        mixHash(outputs[1])
        cipher = NoiseCipher(suite, key: outputs[2])
    }

    /// Encrypts once there is a key, and lets the hash see what was sent.
    mutating func seal(
        _ plaintext: ArraySlice<UInt8>,
        into bytes: inout [UInt8]
    ) throws(SecureChannelError) {
        let start = bytes.count
        if cipher == nil {
            bytes += plaintext
        } else {
            try cipher?.seal(plaintext, with: hash[...], into: &bytes)
        }
        mixHash(bytes[start...])
    }

    mutating func open(
        _ sealed: ArraySlice<UInt8>,
        into bytes: inout [UInt8]
    ) throws(SecureChannelError) {
        if cipher == nil {
            bytes += sealed
        } else {
            try cipher?.open(sealed, with: hash[...], into: &bytes)
        }
        mixHash(sealed)
    }

    /// The keys of the two directions, the initiator's first.
    func split() -> (NoiseCipher, NoiseCipher) {
        let outputs = derive(SymmetricKey(data: [UInt8]()), count: 2)
        return (NoiseCipher(suite, key: outputs[0]), NoiseCipher(suite, key: outputs[1]))
    }

    /// Noise's HKDF (§4.3).
    private func derive(_ material: SymmetricKey, count: Int) -> [[UInt8]] {
        let extracted = HKDF<SHA256>.extract(inputKeyMaterial: material, salt: chainingKey)
        let key = SymmetricKey(data: extracted)
        var outputs: [[UInt8]] = []
        for number in 1...count {
            let input = (outputs.last ?? []) + [UInt8(number)]
            outputs.append([UInt8](HMAC<SHA256>.authenticationCode(for: input, using: key)))
        }
        return outputs
    }
}
