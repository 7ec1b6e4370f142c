@testable import Agent
import EventLoop
import Foundation
import LlamaRPC
import Primitives
import Sockets
import Synchronization
import TensorPieces
import TensorStore
import Testing

/// Weights by name, over real relays and a real store.
@Suite struct TensorFilterTests {
    /// The relays of both agents with a stream between them; llama-server and the RPC server are
    /// the test.
    private final class Way: Sendable {
        let near = Relay(name: "near")
        let far = Relay(name: "far")
        let llama: FileHandle
        let server: FileHandle
        let totals = Totals()
        let bases = KnownBases()

        init(_ store: TensorStore?, _ features: ServiceFeatures = .tensorsByName) throws {
            let (outside, client) = try DetachedStream.pair()
            let (inside, end) = try DetachedStream.pair()
            let (wire, otherWire) = try DetachedStream.pair()
            llama = Self.blocking(outside)
            server = Self.blocking(inside)
            guard let store else {
                near.join(client, wire)
                far.join(otherWire, end)
                return
            }
            near.join(
                client,
                wire,
                options: RelayOptions(makeFilter: { [totals, bases] in
                    NamedTensorsSender(features, ConnectionCounts(), bases) { totals.set($0) }
                })
            )
            far.join(
                otherWire,
                end,
                options: RelayOptions(makeFilter: {
                    RelayFilterChain([NamedTensorsReceiver(store, features), Onlooker()])
                })
            )
        }

        private static func blocking(_ stream: DetachedStream) -> FileHandle {
            let flags = fcntl(stream.descriptor, F_GETFL)
            _ = fcntl(stream.descriptor, F_SETFL, flags & ~O_NONBLOCK)
            return FileHandle(fileDescriptor: stream.descriptor, closeOnDealloc: true)
        }

        /// Sends a client's stream, and gives what the server got.
        func carry(_ stream: [UInt8]) async throws -> [UInt8] {
            let count = stream.count
            async let sent: Void = onThread { [llama] in try? llama.write(contentsOf: Data(stream))
            }
            let got = await onThread { [server] in
                var got: [UInt8] = []
                while got.count < count,
                    let data = try? server.read(upToCount: min(1 << 20, count - got.count)),
                    !data.isEmpty
                {
                    got += data
                }
                return got
            }
            _ = await sent
            return got
        }

        func stop() {
            near.stop()
            far.stop()
        }
    }

    private final class Totals: Sendable {
        private let totals = Mutex<TensorTotals?>(nil)

        func set(_ value: TensorTotals) { totals.withLock { $0 = value } }

        var now: TensorTotals? { totals.withLock { $0 } }
    }

    /// Passes everything on, as the filter does that watches over the RPC server.
    private final class Onlooker: RelayFilter {
        func pass(
            _ bytes: ArraySlice<UInt8>,
            from side: RelaySide,
            toFirst: inout [UInt8],
            toSecond: inout [UInt8]
        ) {
            switch side {
            case .first: toSecond += bytes
            case .second: toFirst += bytes
            }
        }

        func ended(_ side: RelaySide, toFirst: inout [UInt8], toSecond: inout [UInt8]) {}
    }

    private static func conversation(seed: UInt64, byteCount: Int) -> [UInt8] {
        var generator = SeededGenerator(seed: seed)
        var stream: [UInt8] = []
        for number in 0..<8 {
            var data: [UInt8] = []
            while data.count < byteCount / 8 { data.append(littleEndian: generator.next()) }
            var payload = [UInt8](repeating: 0, count: 228)
            payload += Array("blk.\(number).ffn_up.weight".utf8)
            payload += [UInt8](repeating: 0, count: 305 - payload.count) + data
            stream.append(6)
            stream.append(littleEndian: UInt64(payload.count))
            stream += payload
        }
        // The first computation.
        stream.append(10)
        stream.append(littleEndian: UInt64(8))
        return stream + [UInt8](repeating: 1, count: 8)
    }

    private func withStore(_ body: (PieceFolder, TensorStore) async throws -> Void) async throws {
        let path =
            FileManager.default.temporaryDirectory.path(percentEncoded: false)
            + "/caravan-filters-\(UInt64.random(in: 0 ... .max))"
        defer { try? FileManager.default.removeItem(atPath: path) }
        let folder = PieceFolder(path)
        let store = TensorStore(
            folder,
            limit: ByteCount(1 << 30),
            models: nil,
            freeByteMinimum: 0
        ) { _ in }
        try await body(folder, store)
        store.stop()
    }

    @Test func `the second time under 2 % of the bytes travel, and the same ones arrive`()
        async throws
    {
        let stream = Self.conversation(seed: 1, byteCount: 50 << 20)
        try await withStore { _, store in
            var counts: [UInt64] = []
            for round in 0..<2 {
                let way = try Way(store)
                #expect(try await way.carry(stream) == stream)
                try await eventually { way.totals.now != nil }
                let totals = way.totals.now
                #expect(totals?.byteCount ?? 0 > 50 << 20 - 9)
                if round == 1 { #expect(totals?.sentByteCount == 0) }
                counts.append(way.near.counts.bytesFromFirst + way.near.counts.bytesToFirst)
                way.stop()
                store.stop()
            }
            #expect(counts[0] > 50 << 20)
            #expect(counts[1] < counts[0] / 50, "\(counts)")
            #expect(store.report.counts.notKept == 0)
        }
    }

    @Test func `damaged pieces are sent again, and the right bytes arrive`() async throws {
        let stream = Self.conversation(seed: 2, byteCount: 20 << 20)
        try await withStore { folder, store in
            let first = try Way(store)
            #expect(try await first.carry(stream) == stream)
            first.stop()
            store.stop()
            let entries = folder.entries()
            #expect(entries.count >= 16)
            for (number, entry) in entries.enumerated() where number.isMultiple(of: 3) {
                let url = URL(filePath: folder.file(of: entry.name))
                var data = try Data(contentsOf: url)
                data[number] ^= 0x80
                try data.write(to: url)
            }
            let second = try Way(store)
            #expect(try await second.carry(stream) == stream)
            second.stop()
            #expect(store.report.counts.corrupt == (entries.count + 2) / 3)
        }
    }

    @Test func `what the server says comes back while weights travel`() async throws {
        let stream = Self.conversation(seed: 3, byteCount: 4 << 20)
        try await withStore { _, store in
            let way = try Way(store)
            #expect(try await way.carry(stream) == stream)
            for size in [1, 70_000, 3] {
                let reply = [UInt8](repeating: UInt8(truncatingIfNeeded: size), count: size)
                async let sent: Void = onThread { [server = way.server] in
                    try? server.write(contentsOf: Data(reply))
                }
                let heard = await onThread { [llama = way.llama] in
                    var heard: [UInt8] = []
                    while heard.count < size,
                        let data = try? llama.read(upToCount: size - heard.count), !data.isEmpty
                    {
                        heard += data
                    }
                    return heard
                }
                _ = await sent
                #expect(heard == reply)
            }
            way.stop()
        }
    }

    @Test func `where a new buffer begins is known on the master when it hears of the buffer`()
        async throws
    {
        let zeros = [UInt8](repeating: 0, count: 24)
        let hello: [UInt8] = [14, 24, 0, 0, 0, 0, 0, 0, 0] + zeros
        let allocate: [UInt8] = [0, 12, 0, 0, 0, 0, 0, 0, 0] + zeros.prefix(12)
        let greeting: [UInt8] = [28, 0, 0, 0, 0, 0, 0, 0, 8, 0, 0, 0] + zeros
        let buffer: [UInt8] = [16, 0, 0, 0, 0, 0, 0, 0, 77] + zeros.prefix(15)
        let question: [UInt8] = [3, 8, 0, 0, 0, 0, 0, 0, 0, 77] + zeros.prefix(7)
        let weights = Self.conversation(seed: 4, byteCount: 4 << 20)
        try await withStore { _, store in
            for features in [.tensorsByName, [.tensorsByName, .basesAhead]] as [ServiceFeatures] {
                let way = try Way(store, features)
                let isAhead = features.contains(.basesAhead)
                #expect(try await way.carry(hello + allocate) == hello + allocate)
                try way.server.write(contentsOf: Data(greeting + buffer))
                if isAhead {
                    #expect(try way.server.read(upToCount: question.count) == Data(question))
                    #expect(way.bases.answer([77] + zeros.prefix(7)) == nil)
                    try way.server.write(
                        contentsOf: Data([8, 0, 0, 0, 0, 0, 0, 0, 5] + zeros.prefix(7))
                    )
                }
                var heard = Data()
                while heard.count < 60, let data = try way.llama.read(upToCount: 60 - heard.count),
                    !data.isEmpty
                {
                    heard += data
                }
                #expect(heard == Data(greeting + buffer))
                let base = way.bases.answer([77] + zeros.prefix(7))
                #expect(base == (isAhead ? [5] + zeros.prefix(7) : nil))
                #expect(try await way.carry(weights) == weights)
                way.stop()
            }
        }
    }

    @Test func `what makes no sense ends the stream`() async throws {
        try await withStore { _, store in
            let (wire, otherWire) = try DetachedStream.pair()
            let (inside, end) = try DetachedStream.pair()
            let far = Relay(name: "far")
            let ended = Results()
            far.join(
                otherWire,
                end,
                options: RelayOptions(makeFilter: {
                    NamedTensorsReceiver(store, .tensorsByName)
                })
            ) { ended.add($0) }
            let master = FileHandle(fileDescriptor: wire.descriptor, closeOnDealloc: true)
            let server = FileHandle(fileDescriptor: inside.descriptor, closeOnDealloc: true)
            try master.write(contentsOf: Data([9]))
            try await eventually { ended.all.map(\.ending) == [.reset] }
            withExtendedLifetime(server) {}
            far.stop()
        }
    }

    private final class Results: Sendable {
        private let results = Mutex<[RelayResult]>([])

        func add(_ result: RelayResult) { results.withLock { $0.append(result) } }

        var all: [RelayResult] { results.withLock { $0 } }
    }
}

/// Runs what blocks on a thread of its own.
private func onThread<Value: Sendable>(_ body: @escaping @Sendable () -> Value) async -> Value {
    await withCheckedContinuation { continuation in
        Thread.detachNewThread { continuation.resume(returning: body()) }
    }
}

private func eventually(_ condition: () -> Bool) async throws {
    for _ in 0..<3000 {
        if condition() { return }
        try await Task.sleep(for: .milliseconds(10))
    }
    Issue.record("it did not come to that within half a minute")
}
