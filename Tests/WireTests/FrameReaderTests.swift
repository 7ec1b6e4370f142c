import Primitives
import SWIM
import Testing
import Wire

/// A stream arrives in pieces that have nothing to do with its frames.
struct FrameReaderTests {
    private static let frames: [Frame] = [
        .ping(number: 7, target: NodeID(1)), .serviceOpened, .ack(number: 8),
        .serviceRefused(reason: "no"), .syncRequest([]),
        .openService(.llamaServer, ballot: Ballot(term: 1, node: NodeID(2))),
    ]

    private static var stream: [UInt8] {
        Coding.headerBytes + frames.flatMap(\.encoded)
    }

    @Test(arguments: 1...stream.count)
    func `pieces of any size give the same frames`(pieceByteCount: Int) {
        let stream = Self.stream
        let pieces = stride(from: 0, to: stream.count, by: pieceByteCount).map {
            Array(stream[$0..<min(stream.count, $0 + pieceByteCount)])
        }
        let (frames, reader, error) = Coding.read(pieces)
        #expect(error == nil)
        #expect(frames == Self.frames)
        #expect(reader.header == Coding.header)
        #expect(reader.unreadByteCount == 0)
    }

    @Test(arguments: 0..<200)
    func `random pieces give the same frames`(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var random = RandomMessages(seed: seed)
        let frames = (0..<20).map { _ in random.frame() }
        var rest = Coding.headerBytes + frames.flatMap(\.encoded)
        var pieces: [[UInt8]] = []
        while !rest.isEmpty {
            let byteCount = min(rest.count, generator.below(1 << generator.below(12)))
            pieces.append(Array(rest.prefix(byteCount)))
            rest.removeFirst(byteCount)
        }
        let result = Coding.read(pieces)
        #expect(result.error == nil)
        #expect(result.frames == frames)
    }

    @Test func `at most one unfinished frame is kept`() throws {
        var reader = FrameReader()
        let unknown: [UInt8] = [0, 8, 0, 0, 0xEE] + [UInt8](repeating: 1, count: (1 << 19) - 1)
        reader.append(Coding.headerBytes)
        for piece in 0..<40 {
            let whole = unknown + unknown
            for start in stride(from: 0, to: whole.count, by: 100_000) {
                reader.append(Array(whole[start..<min(whole.count, start + 100_000)]))
                #expect(try reader.next(cluster: Coding.cluster) == nil)
                #expect(reader.unreadByteCount < 4 + Frame.byteLimit)
            }
            #expect(reader.unknownCount == 2 * (piece + 1))
        }
        #expect(reader.unreadByteCount == 0)
    }

    @Test func `a frame of the longest length is read`() throws {
        var reader = FrameReader()
        reader.append(Coding.headerBytes + [0, 8, 0, 0, 0xEE])
        reader.append([UInt8](repeating: 0, count: (1 << 19) - 1) + Frame.ack(number: 1).encoded)
        #expect(try reader.next(cluster: Coding.cluster) == .ack(number: 1))
    }

    @Test func `many small frames in one piece are read in time that grows with their number`()
        throws
    {
        var reader = FrameReader()
        let count = 50_000
        reader.append(Coding.headerBytes)
        reader.append((0..<count).flatMap { Frame.ack(number: UInt32($0)).encoded })
        for number in 0..<count {
            let frame = try reader.next(cluster: Coding.cluster)
            if frame != .ack(number: UInt32(number)) { Issue.record("\(number)") }
        }
        #expect(reader.unreadByteCount == 0)
    }

    @Test func `a refused stream stays refused and keeps nothing`() {
        var reader = FrameReader()
        reader.append(Coding.headerBytes + [0, 0, 0, 0])
        for _ in 0..<3 {
            #expect(throws: WireError.badValue(field: "length", value: 0)) {
                try reader.next(cluster: Coding.cluster)
            }
            reader.append(Frame.ack(number: 1).encoded)
            #expect(reader.unreadByteCount == 0)
        }
        #expect(reader.takeRest().isEmpty)
    }

    @Test func `a stranger is refused before its header is whole`() {
        let (_, reader, error) = Coding.read([[0x47], [0x45]])
        #expect(error == .badMagic(0x4745))
        #expect(reader.header == nil)
    }

    @Test(arguments: [[UInt8](), [1], [0xCA, 0x5A, 1, 2, 3, 4, 5, 6, 7, 8]])
    func `what follows the last frame is handed over`(rest: [UInt8]) throws {
        var reader = FrameReader()
        reader.append(Coding.headerBytes + Frame.serviceOpened.encoded + rest)
        #expect(try reader.next(cluster: Coding.cluster) == .serviceOpened)
        #expect(reader.takeRest() == rest)
        #expect(reader.unreadByteCount == 0)
        #expect(try reader.next(cluster: Coding.cluster) == nil)
    }
}
