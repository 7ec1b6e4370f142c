import LlamaRPC
import Primitives
import Testing

/// What waits for the request that it is for, and what does not.
@Suite struct RPCGatheringTests {
    private func request(_ command: RPCCommand, _ byteCount: Int) -> [UInt8] {
        var bytes: [UInt8] = []
        RPCHeader.request(command: command.rawValue, payloadByteCount: UInt64(byteCount))
            .encode(into: &bytes)
        return bytes + [UInt8](repeating: command.rawValue, count: byteCount)
    }

    @Test func `small tensors wait for their graph, and go with it in one piece`() {
        var gathering = RPCGathering()
        var out: [UInt8] = []
        let tensors = [request(.setTensor, 4401), request(.memsetTensor, 305)]
        for (command, bytes) in zip([RPCCommand.setTensor, .memsetTensor], tensors) {
            gathering.begins(command.rawValue, isJudged: true)
            gathering.add(bytes[...], to: &out)
            #expect(out.isEmpty && gathering.isKeeping)
        }
        let graph = request(.graphRecompute, 12)
        gathering.begins(RPCCommand.graphRecompute.rawValue, isJudged: true)
        gathering.add(graph[...], to: &out)
        #expect(out == tensors.joined() + graph)
        #expect(!gathering.isKeeping)
    }

    @Test func `weights pass as they come`() {
        var gathering = RPCGathering()
        var out: [UInt8] = []
        let piece = [UInt8](repeating: 1, count: RPCGathering.byteLimit + 1)
        gathering.begins(RPCCommand.setTensor.rawValue, isJudged: true)
        gathering.add(piece[...], to: &out)
        #expect(out == piece)
        // Many small pieces of a large tensor are not kept beyond the limit.
        var said = out.count
        for _ in 0..<100 {
            gathering.add(piece.prefix(1000), to: &out)
            said += 1000
            #expect(said - out.count <= RPCGathering.byteLimit)
        }
        gathering.flush(to: &out)
        #expect(out.count == said)
    }

    @Test func `nothing waits where it is not known what a command does`() {
        for (command, isJudged) in [(UInt8(6), false), (200, true), (4, true), (5, true)] {
            var gathering = RPCGathering()
            var out: [UInt8] = []
            gathering.begins(command, isJudged: isJudged)
            gathering.add([command, 1], to: &out)
            #expect(out == [command, 1], "command \(command)")
        }
    }

    @Test(arguments: 1...50 as ClosedRange<UInt64>)
    func `whatever is said goes out in its order, and nothing is late`(seed: UInt64) {
        var generator = SeededGenerator(seed: seed)
        var gathering = RPCGathering()
        var (said, out): ([UInt8], [UInt8]) = ([], [])
        for _ in 0..<200 {
            let command = RPCCommand.allCases.randomElement(using: &generator) ?? .hello
            let isLarge = Int.random(in: 0..<10, using: &generator) == 0
            let bytes = request(
                command,
                Int.random(in: 0..<(isLarge ? 100_000 : 2000), using: &generator)
            )
            gathering.begins(command.rawValue, isJudged: true)
            var rest = bytes[...]
            while !rest.isEmpty {
                let piece = rest.prefix(Int.random(in: 1...70_000, using: &generator))
                rest = rest.dropFirst(piece.count)
                said += piece
                gathering.add(piece, to: &out)
                #expect(said.count - out.count <= RPCGathering.byteLimit)
                #expect(gathering.isKeeping == (said.count > out.count))
            }
            if ![.setTensor, .memsetTensor, .setTensor2D].contains(command) {
                #expect(out.count == said.count)
            }
        }
        gathering.flush(to: &out)
        #expect(out == said)
    }
}
