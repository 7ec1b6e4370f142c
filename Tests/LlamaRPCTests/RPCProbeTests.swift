import Foundation
import LlamaRPC
import Primitives
import Testing

/// The exchanges of Protocols/vectors/rpc.json, and rubbish.
struct RPCProbeTests {
    @Test(arguments: Exchange.all)
    func `an exchange goes as its vector says`(_ exchange: Exchange) {
        #expect(exchange.play(pieceByteCount: .max) == exchange.outcome)
    }

    @Test(arguments: Exchange.all.filter(\.mayBeCut), 1...61)
    func `replies may arrive in pieces of any size`(_ exchange: Exchange, pieceByteCount: Int) {
        #expect(exchange.play(pieceByteCount: pieceByteCount) == exchange.outcome)
    }

    @Test func `both greetings are greetings of llama_cpp`() {
        #expect(
            RPCProbe(.current).opening
                == [0x0E, 24, 0, 0, 0, 0, 0, 0, 0] + [UInt8](repeating: 0, count: 24)
        )
        #expect(RPCProbe(.empty).opening == [0x0E, 0, 0, 0, 0, 0, 0, 0, 0])
    }

    @Test func `an unfinished reply is waited for`() throws {
        var probe = RPCProbe()
        #expect(try probe.receive([]) == .needsMore)
        #expect(try probe.receive([28, 0, 0, 0, 0, 0, 0]) == .needsMore)
        #expect(try probe.receive([0] + [UInt8](repeating: 0, count: 27)) == .needsMore)
        #expect(try probe.receive([0]) == .send([0x0F, 0, 0, 0, 0, 0, 0, 0, 0]))
    }

    @Test func `what arrives after the end is ignored`() throws {
        var probe = RPCProbe(.empty)
        _ = try probe.receive([3, 0, 0, 0, 0, 0, 0, 0, 3, 6, 0])
        let step = try probe.receive([4, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
        #expect(
            step
                == .done(
                    RPCProbe.Answer(
                        version: RPCVersion(major: 3, minor: 6, patch: 0),
                        devices: []
                    )
                )
        )
        #expect(try probe.receive([1, 2, 3]) == .needsMore)
    }

    @Test func `random answers end in an error or are waited for`() {
        var generator = SeededGenerator(seed: 3)
        for _ in 0..<20_000 {
            var probe = RPCProbe()
            // Lengths that a reply may have lead deeper than random ones.
            for length in [28, 4, 16, 16] {
                var bytes = [UInt8](repeating: 0, count: 8)
                bytes[0] = UInt8(generator.below(20) == 0 ? generator.below(256) : length)
                bytes += (0..<generator.below(length + 2)).map { _ in
                    UInt8(generator.below(3))
                }
                guard (try? probe.receive(bytes)) != nil else { break }
            }
        }
    }

    @Test(arguments: [
        ("8.0.0", "8.0.0", true), ("8.1.0", "8.0.5", true), ("8.0.9", "8.1.0", false),
        ("8.0.0", "8.0.7", true), ("9.0.0", "8.0.0", false), ("8.0.0", "9.0.0", false),
    ])
    func `a master takes workers of its major and no higher minor`(
        master: String,
        worker: String,
        isAccepted: Bool
    ) throws {
        let master = try #require(RPCVersion(text: master))
        let worker = try #require(RPCVersion(text: worker))
        #expect(master.accepts(server: worker) == isAccepted)
    }
}

extension RPCVersion {
    init?(text: String) {
        let parts = text.split(separator: ".").compactMap { UInt8($0) }
        guard parts.count == 3 else { return nil }
        self.init(major: parts[0], minor: parts[1], patch: parts[2])
    }
}
