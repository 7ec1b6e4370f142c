internal import Crypto
internal import Primitives

/// A cluster key as people pass it on: eight groups of seven letters and digits, of which the
/// last three bytes are a checksum.
///
/// Crockford's base 32 has no letters that look like digits; capitals do not matter, and what
/// people type for a digit (`O`, `I`, `L`) is read as one.
package enum JoinCode {
    private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)
    private static let groupLength = 7
    private static let checksumByteCount = 3
    private static let characterCount = 56

    package enum Problem: Error, Equatable, Sendable, CustomStringConvertible {
        case wrongLength(Int)
        case wrongCharacter(Character)
        case mistyped

        package var description: String {
            switch self {
            case .wrongLength(let count):
                "a join code has \(JoinCode.characterCount) letters and digits, this one has "
                    + "\(count): copy all of it, on one line"
            case .wrongCharacter(let character):
                "a join code has only letters and digits, not '\(character)'"
            case .mistyped:
                "this join code has a typing error: its checksum does not match"
            }
        }
    }

    package static func text(for key: ClusterKey) -> String {
        var bits: UInt64 = 0
        var bitCount = 0
        var characters: [UInt8] = []
        for byte in key.bytes + checksum(key.bytes) {
            bits = bits << 8 | UInt64(byte)
            bitCount += 8
            while bitCount >= 5 {
                bitCount -= 5
                characters.append(alphabet[Int(bits >> UInt64(bitCount) & 31)])
            }
        }
        return stride(from: 0, to: characters.count, by: groupLength).map { start in
            String(
                decoding: characters[start..<min(start + groupLength, characters.count)],
                as: UTF8.self
            )
        }.joined(separator: "-")
    }

    package static func key(from text: String) throws(Problem) -> ClusterKey {
        var bytes: [UInt8] = []
        var bits: UInt64 = 0
        var bitCount = 0
        var count = 0
        for character in text where character != "-" && !character.isWhitespace {
            bits = bits << 5 | UInt64(try value(of: character))
            bitCount += 5
            count += 1
            // Whoever pastes a book gets an answer and no book in memory.
            guard count <= characterCount else { continue }
            if bitCount >= 8 {
                bitCount -= 8
                bytes.append(UInt8(truncatingIfNeeded: bits >> UInt64(bitCount)))
            }
        }
        guard count == characterCount else { throw .wrongLength(count) }
        let keyBytes = Array(bytes.prefix(ClusterKey.byteCount))
        guard Array(bytes.dropFirst(ClusterKey.byteCount)) == checksum(keyBytes),
            let key = ClusterKey(bytes: keyBytes)
        else { throw .mistyped }
        return key
    }

    private static func value(of character: Character) throws(Problem) -> Int {
        let upper = character.uppercased()
        let read =
            switch upper {
            case "O": "0"
            case "I", "L": "1"
            default: upper
            }
        guard let byte = read.utf8.first, read.utf8.count == 1,
            let value = alphabet.firstIndex(of: byte)
        else { throw .wrongCharacter(character) }
        return value
    }

    private static func checksum(_ bytes: [UInt8]) -> [UInt8] {
        let hash = SHA256.hash(data: Array("caravan join code 1".utf8) + bytes)
        return Array(hash.prefix(checksumByteCount))
    }
}
