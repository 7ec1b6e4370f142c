import Crypto
import Foundation
@testable import SecureChannel

/// The very files that Protocols/ shows, found from this file's place in the package.
enum VectorFiles {
    static func read<Contents: Decodable>(_ name: String) -> Contents? {
        let package = URL(filePath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let url = package.appending(path: "Protocols/vectors/\(name).json")
        return try? JSONDecoder().decode(Contents.self, from: Data(contentsOf: url))
    }
}

struct NoiseVectors: Decodable {
    struct Vector: Decodable, Sendable {
        struct Message: Decodable, Sendable {
            let payload: String
            let ciphertext: String
        }

        let source: String
        let `protocol`: String
        let initiatorPrologue: String
        let responderPrologue: String
        let initiatorPSKs: [String]
        let responderPSKs: [String]
        let initiatorStatic: String
        let responderStatic: String
        let initiatorEphemeral: String
        let responderEphemeral: String
        let handshakeHash: String?
        let messages: [Message]
    }

    let vectors: [Vector]

    static let all = (VectorFiles.read("noise") as NoiseVectors?)?.vectors ?? []
}

struct ChannelVectors: Decodable {
    struct Key: Decodable, Sendable {
        let key: String
        let joinCode: String
        let id: String
        let cluster: String
        let handshake: String
        let beacon: String
    }

    struct Code: Decodable, Sendable {
        let name: String
        let text: String
        let key: String?
        let error: String?
        let count: Int?
    }

    struct Device: Decodable, Sendable {
        let secret: String
        let publicKey: String
        let node: String
    }

    struct Handshake: Decodable, Sendable {
        struct Sealed: Decodable, Sendable {
            let plain: String
            let sealed: String
        }

        struct Sent: Decodable, Sendable {
            let first: String
            let records: [Sealed]?
            let data: Sealed?
        }

        let use: String
        let suite: String
        let key: String
        let cluster: String
        let initiatorStatic: String
        let responderStatic: String
        let initiatorEphemeral: String
        let responderEphemeral: String
        let payloads: [String]
        let messages: [String]
        let hash: String
        let sent: Sent
    }

    struct Ring: Decodable, Sendable {
        struct Key: Decodable, Sendable {
            let key: String
            let sealsIn: Int64
            let opensFor: Int64?
        }

        struct Fields: Decodable, Sendable {
            let version: UInt64
            let keys: [Key]
            let removed: [String]
        }

        let name: String
        let hex: String
        let fields: Fields?
        let error: String?
    }

    struct Greeting: Decodable, Sendable {
        struct Fields: Decodable, Sendable {
            let sender: String
            let number: UInt64
            let target: String
        }

        let name: String
        let hex: String
        let fields: Fields?
        let error: String?
    }

    struct Farewell: Decodable, Sendable {
        struct Fields: Decodable, Sendable {
            let version: UInt64
            let removed: [String]
        }

        let name: String
        let hex: String
        let fields: Fields?
    }

    struct Beacon: Decodable, Sendable {
        struct Fields: Decodable, Sendable {
            let sender: String
            let number: UInt64
            let message: String
        }

        let name: String
        let hex: String
        let time: UInt64
        let uptime: UInt64
        let fields: Fields?
        let error: String?
    }

    struct Refused: Decodable, Sendable {
        let name: String
        let hex: String
        let error: String
    }

    let keys: [Key]
    let joinCodes: [Code]
    let devices: [Device]
    let handshakes: [Handshake]
    let greetings: [Greeting]
    let rings: [Ring]
    let beacons: [Beacon]
    let farewells: [Farewell]
    let refused: [Refused]

    static let all: ChannelVectors? = VectorFiles.read("secure-channel")
}

extension [UInt8] {
    init(hex: String) {
        let digits = hex.compactMap(\.hexDigitValue)
        self = stride(from: 0, to: digits.count - 1, by: 2).map {
            UInt8(digits[$0] << 4 | digits[$0 + 1])
        }
    }
}

func secret(_ hex: String) throws -> Curve25519.KeyAgreement.PrivateKey {
    try Curve25519.KeyAgreement.PrivateKey(rawRepresentation: [UInt8](hex: hex))
}
