import Foundation
import Testing
@testable import TensorPieces

/// Protocols/vectors/tensors.json, as it stands there.
enum TensorVectors {
    struct Failure: Decodable, Sendable {
        var name: String
        var kind: UInt8?
        var part: UInt8?
        var count: UInt32?
        var limit: Int?
        var announced: Int?
        var sent: UInt32?
        var byteCount: Int?

        var error: TensorStreamError? {
            switch (name, kind, part, count, limit) {
            case ("unknownPart", let kind?, _, _, _): .unknownPart(kind)
            case ("misplacedPart", let kind?, _, _, _): .misplacedPart(kind)
            case ("badByteCount", _, let part?, let count?, let limit?):
                .badByteCount(part: part, count: count, limit: limit)
            case ("unasked", _, let part?, _, _): .unasked(part: part)
            default: nil
            }
        }
    }

    struct Event: Decodable, Sendable {
        var bytes: String?
        var announced: String?
        var byteCount: Int?
        var piece: UInt32?
        var pieceBytes: String?
        var have: Bool?
        var need: Bool?
        var buffer: UInt64?
        var base: UInt64?
    }

    struct Base: Decodable, Sendable {
        var buffer: UInt64
        var base: UInt64
    }

    struct Parts: Decodable, Sendable, CustomTestStringConvertible {
        var name: String
        var hex: String
        var events: [Event]
        var error: Failure?

        var testDescription: String { name }
    }

    struct Step: Decodable, Sendable {
        var says: String?
        var sends: String?
        var answers: String?
        var hears: String?
        var bases: [Base]?
    }

    struct Exchange: Decodable, Sendable, CustomTestStringConvertible {
        var name: String
        var takesBases: Bool?
        var steps: [Step]
        var found: UInt64?
        var sent: UInt64?
        var error: Failure?

        var testDescription: String { name }
    }

    private struct File: Decodable {
        var parts: [Parts]
        var exchanges: [Exchange]
    }

    private static let file: File? = {
        do {
            let package = URL(filePath: #filePath)
                .deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent()
            let url = package.appending(path: "Protocols/vectors/tensors.json")
            return try JSONDecoder().decode(File.self, from: Data(contentsOf: url))
        } catch {
            Issue.record("Protocols/vectors/tensors.json cannot be read: \(error)")
            return nil
        }
    }()

    static let parts = file?.parts ?? []
    static let exchanges = file?.exchanges ?? []
}

/// Reads `01 0203 5a*100`.
func bytes(_ text: String) throws -> [UInt8] {
    try text.split(separator: " ").flatMap { word in
        let parts = word.split(separator: "*")
        let digits = Array(parts[0].utf8)
        let bytes = try stride(from: 0, to: digits.count, by: 2).map { place in
            let digits = String(
                decoding: digits[place..<min(place + 2, digits.count)],
                as: UTF8.self
            )
            return try #require(UInt8(digits, radix: 16))
        }
        guard parts.count == 2 else { return bytes }
        let count = try #require(Int(parts[1]))
        return Array(repeatElement(bytes, count: count).joined())
    }
}
