import Foundation
import Testing
import Wire

/// One test vector of Protocols/vectors.
struct Vector: Decodable, Sendable, CustomTestStringConvertible {
    let name: String
    let layer: Layer
    let bytes: [UInt8]
    let outcome: Outcome
    /// Whether a sender of this version would write other bytes.
    let isDecodeOnly: Bool

    enum Layer: String, Decodable, Sendable {
        case datagram, stream, message, frame
    }

    enum Outcome: Sendable {
        case fields(Fields)
        case error(WireError)
    }

    var testDescription: String { "\(layer.rawValue): \(name)" }

    var error: WireError? {
        guard case .error(let error) = outcome else { return nil }
        return error
    }

    var fields: Fields? {
        guard case .fields(let fields) = outcome else { return nil }
        return fields
    }

    private enum Key: CodingKey { case name, layer, hex, fields, error, decodeOnly }

    init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: Key.self)
        name = try container.decode(String.self, forKey: .name)
        layer = try container.decode(Layer.self, forKey: .layer)
        bytes = try [UInt8](hex: container.decode(String.self, forKey: .hex))
        isDecodeOnly = try container.decodeIfPresent(Bool.self, forKey: .decodeOnly) ?? false
        if let error = try container.decodeIfPresent(JSONValue.self, forKey: .error) {
            outcome = .error(try WireError(Fields(error)))
        } else {
            outcome = .fields(try Fields(container.decode(JSONValue.self, forKey: .fields)))
        }
    }
}

enum Vectors {
    private struct File: Decodable {
        let vectors: [Vector]
    }

    static let files = ["frames", "discovery", "gossip", "election", "placement", "services"]

    static let all: [Vector] = files.flatMap { file in
        do {
            return try load(file)
        } catch {
            Issue.record("Protocols/vectors/\(file).json cannot be read: \(error)")
            return []
        }
    }

    static let valid = all.filter { $0.error == nil }
    static let invalid = all.filter { $0.error != nil }

    /// The very files that Protocols/ shows, found from this file's place in the package.
    private static func load(_ file: String) throws -> [Vector] {
        let package = URL(filePath: #filePath)
            .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
        let url = package.appending(path: "Protocols/vectors/\(file).json")
        return try JSONDecoder().decode(File.self, from: Data(contentsOf: url)).vectors
    }
}

struct BadVector: Error {
    let reason: String
}

extension [UInt8] {
    /// Hexadecimal digits; spaces mean nothing.
    init(hex: String) throws {
        let digits = hex.compactMap(\.hexDigitValue)
        guard digits.count == hex.count(where: { $0 != " " }), digits.count.isMultiple(of: 2)
        else { throw BadVector(reason: "no hexadecimal bytes: \(hex)") }
        self = stride(from: 0, to: digits.count, by: 2).map {
            UInt8(digits[$0] << 4 | digits[$0 + 1])
        }
    }
}

extension WireError {
    init(_ fields: Fields) throws {
        self =
            switch try fields.text("name") {
            case "truncated":
                .truncated(
                    needed: try fields.integer("needed"),
                    available: try fields.integer("available")
                )
            case "badMagic": .badMagic(try fields.integer("found"))
            case "unsupportedVersion":
                .unsupportedVersion(
                    try fields.integer("found"),
                    supported: try fields.integer("supported")
                )
            case "otherCluster": .otherCluster(try fields.tag("found"))
            case "badValue":
                .badValue(field: try fields.text("field"), value: try fields.integer("value"))
            case "badText": .badText(field: try fields.text("field"))
            case "tooMany":
                .tooMany(
                    field: try fields.text("field"),
                    count: try fields.integer("count"),
                    limit: try fields.integer("limit")
                )
            case "frameTooLong":
                .frameTooLong(
                    byteCount: try fields.integer("byteCount"),
                    limit: try fields.integer("limit")
                )
            case "trailingBytes": .trailingBytes(try fields.integer("count"))
            case let name: throw BadVector(reason: "no such error: \(name)")
            }
    }
}
