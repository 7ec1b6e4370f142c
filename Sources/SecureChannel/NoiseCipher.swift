internal import Crypto
internal import FoundationEssentials
internal import Primitives

/// How the bytes of a channel are encrypted and authenticated; both have keys of 32 bytes and
/// tags of 16.
package enum NoiseSuite: UInt8, Sendable, CaseIterable {
    case chaChaPoly = 1
    /// AES-256-GCM: faster than ChaChaPoly where the processor has AES, and much slower elsewhere.
    case aesGCM = 2

    /// As it stands in the protocol's name.
    var name: String {
        switch self {
        case .chaChaPoly: "ChaChaPoly"
        case .aesGCM: "AESGCM"
        }
    }
}

/// A key and the count of what was encrypted with it (Noise §5.1).
package struct NoiseCipher: Sendable {
    package static let tagByteCount = 16

    private let suite: NoiseSuite
    private let key: SymmetricKey
    package private(set) var counter: UInt64 = 0

    init(_ suite: NoiseSuite, key: [UInt8]) {
        self.suite = suite
        self.key = SymmetricKey(data: key)
    }

    /// Appends the sealed plaintext and its tag, and counts on.
    package mutating func seal(
        _ plaintext: ArraySlice<UInt8>,
        with header: ArraySlice<UInt8> = [],
        into bytes: inout [UInt8]
    ) throws(SecureChannelError) {
        try seal(plaintext, with: header, at: counter, into: &bytes)
        counter += 1
    }

    /// Appends what was sealed, and counts on; on failure nothing changes.
    package mutating func open(
        _ sealed: ArraySlice<UInt8>,
        with header: ArraySlice<UInt8> = [],
        into bytes: inout [UInt8]
    ) throws(SecureChannelError) {
        try open(sealed, with: header, at: counter, into: &bytes)
        counter += 1
    }

    /// Seals at a place of its own, for transports that lose and reorder (Noise §11.4).
    ///
    /// The caller never seals twice at one place.
    func seal(
        _ plaintext: ArraySlice<UInt8>,
        with header: ArraySlice<UInt8>,
        at place: UInt64,
        into bytes: inout [UInt8]
    ) throws(SecureChannelError) {
        // The last value is reserved (Noise §5.1).
        guard place < .max else { throw .exhausted }
        do {
            switch suite {
            case .chaChaPoly:
                let nonce = try ChaChaPoly.Nonce(data: nonce(place))
                let box = try ChaChaPoly.seal(
                    plaintext,
                    using: key,
                    nonce: nonce,
                    authenticating: header
                )
                bytes.append(contentsOf: box.combined.dropFirst(Self.nonceByteCount))
            case .aesGCM:
                let nonce = try AES.GCM.Nonce(data: nonce(place))
                let box = try AES.GCM.seal(
                    plaintext,
                    using: key,
                    nonce: nonce,
                    authenticating: header
                )
                bytes.append(contentsOf: box.ciphertext)
                bytes.append(contentsOf: box.tag)
            }
        } catch {
            throw .doesNotOpen
        }
    }

    func open(
        _ sealed: ArraySlice<UInt8>,
        with header: ArraySlice<UInt8>,
        at place: UInt64,
        into bytes: inout [UInt8]
    ) throws(SecureChannelError) {
        guard place < .max else { throw .exhausted }
        guard sealed.count >= Self.tagByteCount else {
            throw .truncated(needed: Self.tagByteCount, available: sealed.count)
        }
        let text = sealed.dropLast(Self.tagByteCount)
        let tag = sealed.suffix(Self.tagByteCount)
        do {
            switch suite {
            case .chaChaPoly:
                let box = try ChaChaPoly.SealedBox(
                    nonce: ChaChaPoly.Nonce(data: nonce(place)),
                    ciphertext: text,
                    tag: tag
                )
                bytes.append(
                    contentsOf: try ChaChaPoly.open(box, using: key, authenticating: header)
                )
            case .aesGCM:
                let box = try AES.GCM.SealedBox(
                    nonce: AES.GCM.Nonce(data: nonce(place)),
                    ciphertext: text,
                    tag: tag
                )
                bytes.append(
                    contentsOf: try AES.GCM.open(box, using: key, authenticating: header)
                )
            }
        } catch {
            throw .doesNotOpen
        }
    }

    private static let nonceByteCount = 12

    /// Four zero bytes and the count, whose order of bytes is the cipher's (Noise §12).
    private func nonce(_ place: UInt64) -> [UInt8] {
        var nonce: [UInt8] = [0, 0, 0, 0]
        switch suite {
        case .chaChaPoly: nonce.append(littleEndian: place)
        case .aesGCM: nonce.append(bigEndian: place)
        }
        return nonce
    }
}
