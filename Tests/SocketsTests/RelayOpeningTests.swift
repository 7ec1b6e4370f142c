import EventLoop
import Primitives
@testable import Sockets
import Synchronization
import Testing

extension SocketsTests {
    /// Pairs whose second side is opened when it is needed.
    @Suite struct RelayOpeningTests {
        /// Answers `a` itself, and passes everything else on.
        private final class Answering: RelayFilter {
            func pass(
                _ bytes: ArraySlice<UInt8>,
                from side: RelaySide,
                toFirst: inout [UInt8],
                toSecond: inout [UInt8]
            ) {
                guard side == .first else {
                    toFirst += bytes
                    return
                }
                for byte in bytes {
                    if byte == UInt8(ascii: "a") {
                        toFirst.append(byte)
                    } else {
                        toSecond.append(byte)
                    }
                }
            }

            func ended(_ side: RelaySide, toFirst: inout [UInt8], toSecond: inout [UInt8]) {}
        }

        /// Says everything twice to the second side.
        private final class Doubling: RelayFilter {
            func pass(
                _ bytes: ArraySlice<UInt8>,
                from side: RelaySide,
                toFirst: inout [UInt8],
                toSecond: inout [UInt8]
            ) {
                if side == .first { toSecond += bytes + bytes } else { toFirst += bytes }
            }

            func ended(_ side: RelaySide, toFirst: inout [UInt8], toSecond: inout [UInt8]) {}
        }

        private struct Setting {
            let relay = Relay(name: "test-relay")
            let outside: Peer
            let asked = Recorder<RelayOpening.Completion>()
            let results = Recorder<RelayResult>()

            init(first: [UInt8] = []) throws {
                let (near, far) = try DetachedStream.pair()
                outside = Peer(far.descriptor)
                relay.join(
                    near,
                    first: first,
                    options: RelayOptions(makeFilter: { Answering() }),
                    opening: { [asked] in asked.append($0) },
                    onEnd: { [results] in results.append($0) }
                )
            }
        }

        @Test func `what the filter answers needs no second side, and the rest opens it once`()
            async throws
        {
            let setting = try Setting(first: Array("a".utf8))
            #expect(setting.outside.read() == Array("a".utf8))
            #expect(setting.outside.write(Array("aa".utf8)))
            var answered: [UInt8] = []
            while answered.count < 2 { answered += setting.outside.read() ?? [0, 0] }
            #expect(answered == Array("aa".utf8))
            #expect(setting.asked.count == 0)
            #expect(setting.outside.write(Array("xy".utf8)))
            try await eventually { setting.asked.count == 1 }
            // It waits, and more of it is not even read.
            #expect(setting.outside.write(Array("z".utf8)))
            let (near, far) = try DetachedStream.pair()
            let inside = Peer(far.descriptor)
            setting.asked.all[0](.success(RelayOpened(stream: near, records: nil)))
            var arrived: [UInt8] = []
            while arrived.count < 3 { arrived += inside.read() ?? [0, 0, 0] }
            #expect(arrived == Array("xyz".utf8))
            #expect(inside.write([1, 2]))
            #expect(setting.outside.read() == [1, 2])
            setting.outside.endWriting()
            #expect(await onThread { inside.readAll() } == [])
            inside.close()
            try await eventually { setting.results.count == 1 }
            #expect(setting.asked.count == 1)
            #expect(setting.results.all[0].ending == .ended)
            setting.relay.stop()
        }

        @Test func `a filter of the second side sees what has waited, and what follows`()
            async throws
        {
            let setting = try Setting(first: Array("x".utf8))
            try await eventually { setting.asked.count == 1 }
            let (near, far) = try DetachedStream.pair()
            let inside = Peer(far.descriptor)
            setting.asked.all[0](
                .success(RelayOpened(stream: near, records: nil, makeFilter: { Doubling() }))
            )
            #expect(inside.read() == Array("xx".utf8))
            #expect(setting.outside.write(Array("ya".utf8)))
            #expect(inside.read() == Array("yy".utf8))
            #expect(setting.outside.read() == Array("a".utf8))
            setting.relay.stop()
        }

        @Test func `a second side that cannot be opened ends the pair`() async throws {
            let setting = try Setting(first: Array("x".utf8))
            try await eventually { setting.asked.count == 1 }
            setting.asked.all[0](.failure(.refused))
            try await eventually { setting.results.count == 1 }
            #expect(setting.results.all[0].ending == .refused)
            #expect(setting.outside.read()?.isEmpty != false)
            setting.relay.stop()
        }

        @Test func `who leaves before the second side is there leaves nothing open`() async throws {
            let early = try Setting(first: Array("a".utf8))
            #expect(early.outside.read() == Array("a".utf8))
            early.outside.close()
            try await eventually { early.results.count == 1 }
            #expect(early.asked.count == 0)
            early.relay.stop()

            let setting = try Setting(first: Array("x".utf8))
            try await eventually { setting.asked.count == 1 }
            setting.outside.close()
            try await eventually { setting.results.count == 1 }
            let (near, far) = try DetachedStream.pair()
            let inside = Peer(far.descriptor)
            setting.asked.all[0](.success(RelayOpened(stream: near, records: nil)))
            // Nil or nothing: it was closed.
            let rest = await onThread { inside.read() }
            #expect(rest?.isEmpty != false)
            setting.relay.stop()
        }
    }
}
