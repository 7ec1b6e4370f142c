import Foundation
import LlamaRPC
import Testing

/// A side of a connection, and what a reader says of it.
struct Framing: Sendable, CustomTestStringConvertible {
    enum Step: Equatable, Sendable {
        case begins(RPCHeader)
        case prefix([UInt8])
        case payload([UInt8])
        case ends
    }

    struct Outcome: Equatable, Sendable {
        var steps: [Step] = []
        var error: RPCFramingError?
    }

    let name: String
    let kind: RPCFrameKind
    let prefixByteCount: Int
    let bytes: [UInt8]
    let outcome: Outcome

    var testDescription: String { name }

    static let all: [Framing] = VectorFile.read { try $0.framing.map(Framing.init) }

    /// What a reader says when the bytes come in pieces; payloads are put together again.
    func play(pieceByteCount: Int) -> Outcome {
        var reader = RPCFrameReader(kind)
        var outcome = Outcome()
        for start in stride(from: 0, to: bytes.count, by: pieceByteCount) {
            var piece = bytes[start..<min(bytes.count, start + pieceByteCount)]
            do throws(RPCFramingError) {
                while let event = try reader.next(&piece) { note(event, &reader, &outcome) }
            } catch {
                outcome.error = error
                return outcome
            }
        }
        return outcome
    }

    private func note(
        _ event: RPCFrameReader.Event,
        _ reader: inout RPCFrameReader,
        _ outcome: inout Outcome
    ) {
        switch event {
        case .begins(let header):
            outcome.steps.append(.begins(header))
            if prefixByteCount > 0 { reader.collect(prefixByteCount: prefixByteCount) }
        case .prefix(let prefix): outcome.steps.append(.prefix(prefix))
        case .payload(let slice):
            if case .payload(let before) = outcome.steps.last {
                outcome.steps[outcome.steps.count - 1] = .payload(before + slice)
            } else {
                outcome.steps.append(.payload(Array(slice)))
            }
        case .ends: outcome.steps.append(.ends)
        }
    }
}

/// What passes in a connection, and what is awaited then.
struct Conversation: Sendable, CustomTestStringConvertible {
    enum Step: Sendable {
        case asks(UInt8)
        case greets([UInt8])
        case answered(UInt8)
    }

    let name: String
    let steps: [Step]
    let awaited: [UInt8]
    let version: String?
    let isJudged: Bool

    var testDescription: String { name }

    static let all: [Conversation] = VectorFile.read {
        try $0.conversations.map(Conversation.init)
    }
}

// MARK: - As JSON

struct VectorFile: Decodable {
    struct Framing: Decodable {
        let name: String
        let kind: String
        let prefix: Int?
        let bytes: String
        let events: [Event]
        let error: Failure?
    }

    struct Event: Decodable {
        let begins: UInt8?
        let byteCount: UInt64?
        let prefix: String?
        let payload: String?
    }

    struct Failure: Decodable {
        let name: String
        let found: UInt64
        let limit: UInt64
    }

    struct Conversation: Decodable {
        let name: String
        let steps: [Step]
        let awaited: [UInt8]
        let version: String?
        let judged: Bool
    }

    struct Step: Decodable {
        let asks: UInt8?
        let greets: String?
        let answered: UInt8?
    }

    struct Bad: Error {
        let reason: String
    }

    let framing: [Framing]
    let conversations: [Conversation]

    /// The very file that Protocols/ shows.
    static func read<Item>(_ items: (VectorFile) throws -> [Item]) -> [Item] {
        do {
            let package = URL(filePath: #filePath)
                .deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent()
            let url = package.appending(path: "Protocols/vectors/rpc.json")
            return try items(JSONDecoder().decode(Self.self, from: Data(contentsOf: url)))
        } catch {
            Issue.record("Protocols/vectors/rpc.json cannot be read: \(error)")
            return []
        }
    }

    static func bytes(_ hex: String) throws -> [UInt8] {
        let digits = hex.compactMap(\.hexDigitValue)
        guard digits.count == hex.count(where: { $0 != " " }), digits.count.isMultiple(of: 2)
        else { throw Bad(reason: "no hexadecimal bytes: \(hex)") }
        return stride(from: 0, to: digits.count, by: 2).map {
            UInt8(digits[$0] << 4 | digits[$0 + 1])
        }
    }
}

extension Framing {
    fileprivate init(_ vector: VectorFile.Framing) throws {
        name = vector.name
        switch vector.kind {
        case "requests": kind = .requests
        case "replies": kind = .replies
        default: throw VectorFile.Bad(reason: vector.kind)
        }
        prefixByteCount = vector.prefix ?? 0
        bytes = try VectorFile.bytes(vector.bytes)
        var outcome = Outcome()
        outcome.steps = try vector.events.map { event in
            if let byteCount = event.byteCount {
                guard let command = event.begins else {
                    return .begins(.reply(payloadByteCount: byteCount))
                }
                return .begins(.request(command: command, payloadByteCount: byteCount))
            }
            if let prefix = event.prefix { return .prefix(try VectorFile.bytes(prefix)) }
            if let payload = event.payload { return .payload(try VectorFile.bytes(payload)) }
            return .ends
        }
        if let error = vector.error {
            guard error.name == "payloadTooLong" else { throw VectorFile.Bad(reason: error.name) }
            outcome.error = .payloadTooLong(error.found, limit: error.limit)
        }
        self.outcome = outcome
    }
}

extension Conversation {
    fileprivate init(_ vector: VectorFile.Conversation) throws {
        name = vector.name
        steps = try vector.steps.map { step in
            if let command = step.asks { return .asks(command) }
            if let payload = step.greets { return .greets(try VectorFile.bytes(payload)) }
            if let command = step.answered { return .answered(command) }
            throw VectorFile.Bad(reason: "an empty step")
        }
        awaited = vector.awaited
        version = vector.version
        isJudged = vector.judged
    }
}
