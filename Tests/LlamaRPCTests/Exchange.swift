import Foundation
import LlamaRPC
import Primitives
import Testing

/// A whole conversation between a probe and an RPC server.
struct Exchange: Sendable, CustomTestStringConvertible {
    enum Step: Sendable {
        case send([UInt8])
        case receive([UInt8])
    }

    /// How a conversation ends.
    enum Outcome: Equatable, Sendable {
        case answer(RPCProbe.Answer)
        case error(RPCProbeError)
        /// The probe has asked for more than the vector goes on to answer.
        case open
        /// The probe sent something else, or nothing, at this step.
        case differs(step: Int)
    }

    let name: String
    let greeting: RPCProbe.Greeting
    let steps: [Step]
    let outcome: Outcome

    var testDescription: String { name }

    /// Bytes that came unasked can only be told from a reply when they come with the one before.
    var mayBeCut: Bool {
        if case .error(.unaskedBytes) = outcome { false } else { true }
    }

    /// The very file that Protocols/ shows, found from this file's place in the package.
    static let all: [Exchange] = {
        do {
            let package = URL(filePath: #filePath)
                .deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent()
            let url = package.appending(path: "Protocols/vectors/rpc.json")
            let file = try JSONDecoder().decode(File.self, from: Data(contentsOf: url))
            return try file.vectors.map(Exchange.init)
        } catch {
            Issue.record("Protocols/vectors/rpc.json cannot be read: \(error)")
            return []
        }
    }()

    /// Runs the probe against the vector, with each reply cut into pieces.
    func play(pieceByteCount: Int) -> Outcome {
        var probe = RPCProbe(greeting)
        var pending: RPCProbe.Step = .send(probe.opening)
        for (number, step) in steps.enumerated() {
            switch step {
            case .send(let bytes):
                guard pending == .send(bytes) else { return .differs(step: number) }
                pending = .needsMore
            case .receive(var bytes):
                do throws(RPCProbeError) {
                    while !bytes.isEmpty {
                        guard pending == .needsMore else { return .differs(step: number) }
                        let piece = Array(bytes.prefix(pieceByteCount))
                        bytes.removeFirst(piece.count)
                        pending = try probe.receive(piece)
                    }
                } catch {
                    return .error(error)
                }
            }
        }
        if case .done(let answer) = pending { return .answer(answer) }
        return .open
    }
}

// MARK: - As JSON

extension Exchange {
    private struct File: Decodable {
        let vectors: [Vector]
    }

    private struct Vector: Decodable {
        let name: String
        let greeting: String
        let steps: [[String: String]]
        let answer: Answer?
        let error: Failure?
    }

    private struct Answer: Decodable {
        let version: String
        let devices: [Device]
    }

    private struct Device: Decodable {
        let free: UInt64
        let total: UInt64
    }

    private struct Failure: Decodable {
        let name: String
        let command: UInt8?
        let expected: UInt64?
        let found: UInt64?
        let count: Int?
        let limit: UInt32?
    }

    private struct BadVector: Error {
        let reason: String
    }

    private init(_ vector: Vector) throws {
        name = vector.name
        switch vector.greeting {
        case "current": greeting = .current
        case "empty": greeting = .empty
        default: throw BadVector(reason: vector.greeting)
        }
        steps = try vector.steps.map { step in
            if let hex = step["send"] { return .send(try Self.bytes(hex)) }
            if let hex = step["receive"] { return .receive(try Self.bytes(hex)) }
            throw BadVector(reason: "a step neither sends nor receives")
        }
        if let failure = vector.error {
            outcome = .error(try Self.error(failure))
        } else if let answer = vector.answer {
            guard let version = RPCVersion(text: answer.version) else {
                throw BadVector(reason: answer.version)
            }
            let devices = answer.devices.map {
                RPCDevice(memoryFree: ByteCount($0.free), memoryTotal: ByteCount($0.total))
            }
            outcome = .answer(RPCProbe.Answer(version: version, devices: devices))
        } else {
            outcome = .open
        }
    }

    private static func error(_ failure: Failure) throws -> RPCProbeError {
        switch failure.name {
        case "badReplyLength":
            if let command = failure.command, let expected = failure.expected,
                let found = failure.found
            {
                return .badReplyLength(command: command, expected: expected, found: found)
            }
        case "tooManyDevices":
            if let count = failure.count, let limit = failure.limit {
                return .tooManyDevices(UInt32(count), limit: limit)
            }
        case "unaskedBytes":
            if let count = failure.count { return .unaskedBytes(count) }
        default: break
        }
        throw BadVector(reason: failure.name)
    }

    private static func bytes(_ hex: String) throws -> [UInt8] {
        let digits = hex.compactMap(\.hexDigitValue)
        guard digits.count == hex.count(where: { $0 != " " }), digits.count.isMultiple(of: 2)
        else { throw BadVector(reason: "no hexadecimal bytes: \(hex)") }
        return stride(from: 0, to: digits.count, by: 2).map {
            UInt8(digits[$0] << 4 | digits[$0 + 1])
        }
    }
}
