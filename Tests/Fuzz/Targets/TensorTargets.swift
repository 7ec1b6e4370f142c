import FoundationEssentials
import LlamaRPC
import Primitives
import TensorPieces

// Weights by name: what the other agent sends.
extension FuzzTarget {
    static let tensors: [FuzzTarget] = [
        FuzzTarget("tensor-parts", "whose side, the cut; parts of the other agent") { bytes in
            guard let first = bytes.first else { return }
            let pieces = Array(bytes.dropFirst()).pieces
            if first.isMultiple(of: 2) {
                try expect(
                    masterHears([pieces.flatMap { $0 }]) == masterHears(pieces),
                    "the pieces in which answers arrive change what they say"
                )
            } else {
                try workerTakes(pieces)
            }
        },
        FuzzTarget(
            "tensor-session",
            "actions behind their lengths: llama-server speaks, and bytes arrive"
        ) { bytes in
            var session = TensorSession()
            for action in bytes.measuredPieces { try session.perform(action) }
            try session.finish()
            // As data: instrumented, a loop over the bytes takes two thirds of the time.
            let isSame = Data(session.written) == Data(session.said)
            try expect(isSame, "other bytes arrive than were sent")
        },
    ]

    private static func masterHears(_ pieces: [[UInt8]]) -> (replies: [UInt8], failed: Bool) {
        var sender = TensorSender()
        var replies: [UInt8] = []
        for piece in pieces {
            do throws(TensorStreamError) {
                try sender.receive(piece[...], replies: &replies)
            } catch {
                return (replies, true)
            }
        }
        return (replies, false)
    }

    private static func workerTakes(_ pieces: [[UInt8]]) throws {
        var receiver = TensorReceiver()
        var (requests, answers): ([UInt8], [UInt8]) = ([], [])
        var announced = 0
        for piece in pieces {
            var effects: [TensorReceiver.Effect] = []
            do throws(TensorStreamError) {
                try receiver.receive(piece[...], requests: &requests, effects: &effects)
            } catch {
                return
            }
            for case .look(_, let byteCount, let number, _) in effects {
                announced += 1
                // Every other piece is here.
                let found = announced.isMultiple(of: 2)
                receiver.found(
                    number,
                    found ? [UInt8](repeating: 7, count: byteCount) : nil,
                    answers: &answers
                )
            }
            while receiver.hasMore { receiver.writeNext(into: &requests) }
        }
        try expect(answers.count == announced, "a piece is answered twice, or not at all")
    }
}

/// Both sides of a stream, and a worker that has what its actions say.
private struct TensorSession {
    var said: [UInt8] = []
    var written: [UInt8] = []
    private var sender = TensorSender(windowByteLimit: 1 << 16)
    private var receiver = TensorReceiver()
    private var up: [UInt8] = []
    private var down: [UInt8] = []
    private var looks: [(name: PieceName, number: UInt64)] = []
    private var pieces: [PieceName: [UInt8]] = [:]
    private var isLost = false

    mutating func perform(_ action: [UInt8]) throws {
        guard let kind = action.first, !isLost else { return }
        switch kind % 6 {
        case 0: say(Array(action.dropFirst()))
        case 1: say(tensor(action))
        case 2: try takeUp(Int(action.last ?? 0) << 6)
        case 3: try takeDown(Int(action.last ?? 0))
        case 4: look(has: !action.count.isMultiple(of: 2))
        default:
            if sender.hasMore { sender.sendNext(into: &up) }
            if receiver.hasMore { receiver.writeNext(into: &written) }
        }
    }

    private mutating func say(_ bytes: [UInt8]) {
        do throws(RPCFramingError) {
            try sender.send(bytes[...], into: &up)
            said += bytes
        } catch {
            isLost = true
        }
    }

    /// Weights of some size, alike when their action is.
    ///
    /// Just large enough to be announced: three of them fill the window.
    private func tensor(_ action: [UInt8]) -> [UInt8] {
        let byteCount = PieceLimits.tensorByteMinimum + 40 * Int(action.last ?? 0)
        let data = [UInt8](repeating: UInt8(action.count), count: byteCount)
        var bytes: [UInt8] = [6]
        bytes.append(littleEndian: UInt64(305 + byteCount))
        bytes += [UInt8](repeating: 0, count: 228)
        bytes += Array("blk.0.w".utf8)
        bytes += [UInt8](repeating: 0, count: 305 - 228 - 7)
        return bytes + data
    }

    private mutating func takeUp(_ count: Int) throws {
        let part = up.prefix(count)
        up = Array(up.dropFirst(count))
        var effects: [TensorReceiver.Effect] = []
        try receiver.receive(part, requests: &written, effects: &effects)
        for effect in effects {
            switch effect {
            case .look(let name, _, let number, _): looks.append((name, number))
            case .keep(let name, let bytes): pieces[name] = bytes
            }
        }
    }

    private mutating func takeDown(_ count: Int) throws {
        let part = down.prefix(count)
        down = Array(down.dropFirst(count))
        var replies: [UInt8] = []
        try sender.receive(part, replies: &replies)
    }

    private mutating func look(has: Bool) {
        guard !looks.isEmpty else { return }
        let (name, number) = looks.removeFirst()
        receiver.found(number, has ? pieces[name] : nil, answers: &down)
    }

    /// Lets everything arrive; what llama-server has not said whole stays where it is.
    mutating func finish() throws {
        guard !isLost else {
            written = said
            return
        }
        while !up.isEmpty || !down.isEmpty || !looks.isEmpty || sender.hasMore || receiver.hasMore {
            try takeUp(up.count)
            try takeDown(down.count)
            look(has: true)
            if sender.hasMore { sender.sendNext(into: &up) }
            if receiver.hasMore { receiver.writeNext(into: &written) }
        }
        // A header or the beginning of a piece may wait for its rest.
        said = Array(said.prefix(max(written.count, said.count - (1 << 20) - 305)))
    }
}
