import Primitives
import Testing
@testable import TensorPieces

enum Message {
    static func request(_ command: UInt8, _ payload: [UInt8]) -> [UInt8] {
        var bytes = [command]
        bytes.append(littleEndian: UInt64(payload.count))
        return bytes + payload
    }

    /// - Parameters:
    ///   - range: which bytes of the data are set; nil for all.
    ///   - isOlder: as before protocol 8, without a flag.
    static func setTensor(
        _ name: String,
        _ data: [UInt8],
        _ range: Range<Int>? = nil,
        isOlder: Bool = false
    ) -> [UInt8] {
        let range = range ?? 0..<data.count
        var head = [UInt8](repeating: 0, count: 32)
        head.append(littleEndian: UInt32(1))
        head += [UInt8](repeating: 0, count: 48 - head.count)
        head.append(littleEndian: UInt32(data.count))
        head += [UInt8](repeating: 0, count: 228 - head.count)
        head += Array(name.utf8)
        head += [UInt8](repeating: 0, count: (isOlder ? 296 : 297) - head.count)
        head.append(littleEndian: UInt64(range.lowerBound))
        return request(6, head + data[range])
    }

    static func data(_ count: Int, _ generator: inout SeededGenerator) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(count + 8)
        while bytes.count < count { bytes.append(littleEndian: generator.next()) }
        bytes.removeLast(bytes.count - count)
        return bytes
    }
}

/// Both sides with two wires between them, on which bytes arrive in pieces of any size, in turns
/// that a seed chooses.
struct Link {
    var sender = TensorSender()
    var receiver = TensorReceiver()
    var store: [PieceName: [UInt8]] = [:]
    var written: [UInt8] = []
    var heard: [UInt8] = []
    var report: TensorTotals?
    /// What was looked for, and where it belongs.
    var places: [(name: PieceName, place: TensorPlace?)] = []
    private var up: [UInt8] = []
    private var down: [UInt8] = []
    private var looking: [(number: UInt64, name: PieceName)] = []
    private var generator: SeededGenerator

    init(seed: UInt64) {
        generator = SeededGenerator(seed: seed).derived(3)
    }

    mutating func reset() {
        sender = TensorSender()
        receiver = TensorReceiver()
        (written, heard, up, down, looking, report) = ([], [], [], [], [], nil)
    }

    mutating func carry(_ stream: [UInt8]) throws {
        var fed = 0
        for _ in 0..<1_000_000 {
            if fed == stream.count, up.isEmpty, down.isEmpty, looking.isEmpty, !sender.hasMore,
                !receiver.hasMore
            {
                return
            }
            switch generator.below(5) {
            case 0 where fed < stream.count && sender.takesMore:
                let end = min(fed + 1 + generator.below(70_000), stream.count)
                try sender.send(stream[fed..<end], into: &up)
                fed = end
            case 1 where receiver.takesMore: try takeUp()
            case 2: try takeDown()
            case 3:
                if sender.hasMore { sender.sendNext(into: &up) }
                if receiver.hasMore { receiver.writeNext(into: &written) }
            default: look()
            }
            report = report ?? sender.takeReport()
        }
        Issue.record("the two sides wait for each other")
    }

    mutating func carry(back replies: [UInt8]) throws {
        receiver.reply(replies[...], into: &down)
        while !down.isEmpty { try takeDown() }
    }

    private mutating func takeUp() throws {
        let part = up.prefix(1 + generator.below(100_000))
        up = Array(up.dropFirst(part.count))
        var effects: [TensorReceiver.Effect] = []
        try receiver.receive(part, requests: &written, effects: &effects)
        for effect in effects {
            switch effect {
            case .look(let name, _, let number, let place):
                looking.append((number, name))
                places.append((name, place))
            case .keep(let name, let bytes):
                #expect(PieceName(of: bytes[...]) == name)
                store[name] = bytes
            }
        }
    }

    private mutating func takeDown() throws {
        let part = down.prefix(1 + generator.below(1000))
        down = Array(down.dropFirst(part.count))
        try sender.receive(part, replies: &heard)
    }

    private mutating func look() {
        guard !looking.isEmpty else { return }
        let (number, name) = looking.removeFirst()
        receiver.found(number, store[name], answers: &down)
    }
}
