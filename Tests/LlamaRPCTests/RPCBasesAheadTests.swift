import LlamaRPC
import Primitives
import Testing

/// A client, an RPC server, and in between somebody who asks ahead; bytes arrive in any pieces.
@Suite struct RPCBasesAheadTests {
    private static func request(_ command: RPCCommand, _ payload: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        RPCHeader.request(
            command: command.rawValue,
            payloadByteCount: UInt64(payload.count)
        ).encode(into: &bytes)
        return bytes + payload
    }

    private static func reply(_ numbers: UInt64...) -> [UInt8] {
        var bytes: [UInt8] = []
        RPCHeader.reply(payloadByteCount: UInt64(8 * numbers.count)).encode(into: &bytes)
        for number in numbers { bytes.append(littleEndian: number) }
        return bytes
    }

    private static func number(_ value: UInt64) -> [UInt8] {
        var bytes: [UInt8] = []
        bytes.append(littleEndian: value)
        return bytes
    }

    private static let hello = request(.hello, [UInt8](repeating: 0, count: 24))
    private static let greeting: [UInt8] =
        [28, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0] + [UInt8](repeating: 0, count: 24)
    private static let alloc = request(.allocBuffer, [UInt8](repeating: 0, count: 12))

    private struct Between {
        var ahead = RPCBasesAhead()
        var generator: SeededGenerator
        var replies: [UInt8] = []
        var question: [UInt8] = []
        var bases: [RPCBufferBase] = []

        init(seed: UInt64 = 1) { generator = SeededGenerator(seed: seed) }

        mutating func client(_ bytes: [UInt8]) throws {
            for piece in cut(bytes) { try ahead.send(piece) }
        }

        mutating func server(_ bytes: [UInt8]) throws {
            for piece in cut(bytes) {
                try ahead.receive(
                    piece,
                    replies: &replies,
                    question: &question,
                    bases: &bases
                )
            }
        }

        private mutating func cut(_ bytes: [UInt8]) -> [ArraySlice<UInt8>] {
            var pieces: [ArraySlice<UInt8>] = []
            var rest = bytes[...]
            while !rest.isEmpty {
                pieces.append(rest.prefix(1 + generator.below(rest.count)))
                rest = rest.dropFirst(pieces[pieces.count - 1].count)
            }
            return pieces
        }

        mutating func takeReplies() -> [UInt8] {
            defer { replies = [] }
            return replies
        }
    }

    @Test(arguments: 0..<20 as Range<UInt64>)
    func `a new buffer is asked for its base, and the answers stay in order`(seed: UInt64) throws {
        var between = Between(seed: seed)
        // Greeted and asked in one breath, as the master's agent does.
        try between.client(Self.hello + Self.alloc)
        try between.server(Self.greeting)
        #expect(between.takeReplies() == Self.greeting)
        for buffer in [77, .max, 77] as [UInt64] {
            try between.server(Self.reply(buffer, 4096))
            #expect(between.takeReplies().isEmpty)
            #expect(between.question == Self.request(.bufferGetBase, Self.number(buffer)))
            between.question = []
            try between.server(Self.reply(buffer &+ 5))
            #expect(between.bases.last == RPCBufferBase(buffer: buffer, base: buffer &+ 5))
            #expect(between.takeReplies() == Self.reply(buffer, 4096))
            // Another thing, which goes as it is.
            try between.client(Self.request(.getAlignment, [0, 0, 0, 0]))
            try between.server(Self.reply(32))
            #expect(between.takeReplies() == Self.reply(32))
            try between.client(Self.alloc)
        }
        #expect(between.bases.count == 3 && between.question.isEmpty)
    }

    @Test func `without memory there is no base`() throws {
        var between = Between()
        try between.client(Self.hello + Self.alloc)
        try between.server(Self.greeting + Self.reply(0, 0))
        #expect(between.takeReplies() == Self.greeting + Self.reply(0, 0))
        #expect(between.question.isEmpty && between.bases.isEmpty)
    }

    @Test func `a client that has asked more, or is in the middle of it, is not disturbed`() throws
    {
        let more = Self.request(.getAlignment, [0, 0, 0, 0])
        for count in 1...more.count {
            var between = Between(seed: UInt64(count))
            try between.client(Self.hello)
            try between.server(Self.greeting)
            try between.client(Self.alloc + more.prefix(count))
            try between.server(Self.reply(7, 4096))
            #expect(between.question.isEmpty, "\(count) bytes")
            #expect(between.takeReplies() == Self.greeting + Self.reply(7, 4096))
        }
    }

    @Test func `what a client says meanwhile is answered after it`() throws {
        var between = Between()
        try between.client(Self.hello)
        try between.server(Self.greeting)
        try between.client(Self.alloc)
        try between.server(Self.reply(7, 4096))
        #expect(!between.question.isEmpty)
        try between.client(Self.request(.getAlignment, [0, 0, 0, 0]))
        try between.server(Self.reply(8) + Self.reply(32))
        #expect(between.bases == [RPCBufferBase(buffer: 7, base: 8)])
        #expect(between.takeReplies() == Self.greeting + Self.reply(7, 4096) + Self.reply(32))
    }

    @Test func `of another protocol nothing is asked`() throws {
        var between = Between()
        var greeting = Self.greeting
        greeting[8] = 9
        try between.client(Self.hello + Self.alloc)
        try between.server(greeting + Self.reply(7, 4096))
        #expect(between.takeReplies() == greeting + Self.reply(7, 4096))
        #expect(between.question.isEmpty)
    }

    @Test func `an answer that is no base is none`() throws {
        var between = Between()
        try between.client(Self.hello + Self.alloc)
        try between.server(Self.greeting + Self.reply(7, 4096) + Self.reply(1, 2))
        #expect(between.bases.isEmpty)
        #expect(between.takeReplies() == Self.greeting + Self.reply(7, 4096))
    }
}
