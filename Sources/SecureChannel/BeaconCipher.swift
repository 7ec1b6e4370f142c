internal import Crypto
internal import FoundationEssentials

/// ChaChaPoly with a nonce that was drawn at random.
///
/// Safe for 2^32 beacons under one key, which devices send once in ten seconds.
enum BeaconCipher {
    static func seal(
        _ plaintext: ArraySlice<UInt8>,
        _ key: [UInt8],
        _ nonce: [UInt8],
        _ header: ArraySlice<UInt8>,
        into bytes: inout [UInt8]
    ) throws(SecureChannelError) {
        do {
            let box = try ChaChaPoly.seal(
                plaintext,
                using: SymmetricKey(data: key),
                nonce: ChaChaPoly.Nonce(data: nonce),
                authenticating: header
            )
            bytes.append(contentsOf: box.ciphertext)
            bytes.append(contentsOf: box.tag)
        } catch {
            throw .doesNotOpen
        }
    }

    static func open(
        _ sealed: ArraySlice<UInt8>,
        _ key: [UInt8],
        _ nonce: [UInt8],
        _ header: ArraySlice<UInt8>,
        into bytes: inout [UInt8]
    ) throws(SecureChannelError) {
        do {
            let box = try ChaChaPoly.SealedBox(
                nonce: ChaChaPoly.Nonce(data: nonce),
                ciphertext: sealed.dropLast(NoiseCipher.tagByteCount),
                tag: sealed.suffix(NoiseCipher.tagByteCount)
            )
            bytes.append(
                contentsOf: try ChaChaPoly.open(
                    box,
                    using: SymmetricKey(data: key),
                    authenticating: header
                )
            )
        } catch {
            throw .doesNotOpen
        }
    }
}
