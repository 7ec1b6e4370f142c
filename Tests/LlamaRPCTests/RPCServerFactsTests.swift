import LlamaRPC
import Primitives
import Testing

/// What is asked of a server once, and answered in its place then.
struct RPCServerFactsTests {
    private static let version = RPCVersion(major: 8, minor: 0, patch: 0)

    private static func device(free: UInt64, total: UInt64) -> RPCServerFacts.Device {
        RPCServerFacts.Device(
            memory: RPCDevice(memoryFree: ByteCount(free), memoryTotal: ByteCount(total)),
            alignment: 32,
            maxSize: .max
        )
    }

    private static func reply(_ payload: [UInt8]) -> [UInt8] {
        var bytes: [UInt8] = []
        RPCHeader.reply(payloadByteCount: UInt64(payload.count)).encode(into: &bytes)
        return bytes + payload
    }

    private static func numbers(_ numbers: UInt64...) -> [UInt8] {
        var bytes: [UInt8] = []
        for number in numbers { bytes.append(littleEndian: number) }
        return bytes
    }

    /// What a server with so many devices answers to all questions, in order.
    private static func answers(_ facts: RPCServerFacts) -> [[UInt8]] {
        var answers = [[facts.version.major, facts.version.minor, facts.version.patch, 0]]
        answers[0] += [UInt8](repeating: 0, count: 24)
        answers.append([UInt8(facts.devices.count), 0, 0, 0])
        for device in facts.devices {
            let memory = device.memory
            answers.append(numbers(memory.memoryFree.bytes, memory.memoryTotal.bytes))
            answers.append(numbers(device.alignment))
            answers.append(numbers(device.maxSize))
        }
        return answers.map(reply)
    }

    @Test(arguments: [1, 2, 16], [1, 7, 1000])
    func `everything is learned in one turn-around, and one more for further devices`(
        deviceCount: Int,
        pieceByteCount: Int
    ) throws {
        let facts = RPCServerFacts(
            version: Self.version,
            devices: (0..<deviceCount).map { Self.device(free: UInt64($0), total: 100) }
        )
        let answers = Self.answers(facts)
        var probe = RPCFactsProbe()
        // HELLO, the count and the first device are asked for at once.
        var asked = try requests(probe.opening)
        #expect(asked.map(\.command) == [14, 15, 11, 1, 2])
        let first = Array(answers[..<5].joined())
        var steps: [RPCFactsProbe.Step] = []
        for start in stride(from: 0, to: first.count, by: pieceByteCount) {
            let piece = first[start..<min(first.count, start + pieceByteCount)]
            steps.append(try probe.receive(Array(piece)))
        }
        steps.removeAll { $0 == .needsMore }
        if deviceCount > 1 {
            guard case .send(let more) = steps.first else {
                Issue.record("\(steps)")
                return
            }
            asked = try requests(more)
            #expect(asked.map(\.command) == (1..<deviceCount).flatMap { _ in [11, 1, 2] })
            #expect(asked.last?.payload == [UInt8(deviceCount - 1), 0, 0, 0])
            steps = [try probe.receive(Array(answers[5...].joined()))]
        }
        #expect(steps.last == .done(facts))
    }

    private func requests(
        _ bytes: [UInt8]
    ) throws -> [(command: UInt8, payload: [UInt8])] {
        var reader = RPCFrameReader(.requests)
        var rest = bytes[...]
        var found: [(command: UInt8, payload: [UInt8])] = []
        while let event = try reader.next(&rest) {
            if case .begins(.request(let command, _)) = event { found.append((command, [])) }
            if case .payload(let slice) = event { found[found.count - 1].payload += slice }
        }
        return found
    }

    @Test func `answers of another length, of too many devices or to nothing are refused`() throws {
        var probe = RPCFactsProbe()
        #expect(
            throws: RPCProbeError.badReplyLength(command: 14, expected: 28, found: 3)
        ) {
            try probe.receive(Self.reply([3, 6, 0]))
        }
        var many = RPCFactsProbe()
        _ = try many.receive(Self.reply([8, 0, 0, 0] + [UInt8](repeating: 0, count: 24)))
        #expect(throws: RPCProbeError.tooManyDevices(17, limit: 16)) {
            try many.receive(Self.reply([17, 0, 0, 0]))
        }
        let facts = RPCServerFacts(
            version: Self.version,
            devices: [Self.device(free: 1, total: 1)]
        )
        var unasked = RPCFactsProbe()
        #expect(throws: RPCProbeError.self) {
            try unasked.receive(Array(Self.answers(facts).joined()) + Self.reply([1]))
        }
    }

    @Test func `what a server always answers is answered in its place, and nothing else`() {
        let facts = RPCServerFacts(
            version: Self.version,
            devices: [Self.device(free: 5, total: 5), Self.device(free: 6, total: 9)]
        )
        func answer(_ command: UInt8, _ payload: [UInt8], _ hasAllocated: Bool = false) -> [UInt8]?
        {
            facts.answer(to: command, payload, hasAllocated: hasAllocated)
        }
        // Capabilities of the client are not agreed to.
        let hello = answer(14, [UInt8](repeating: 255, count: 24))
        #expect(hello == [8, 0, 0, 0] + [UInt8](repeating: 0, count: 24))
        #expect(answer(15, []) == [2, 0, 0, 0])
        #expect(answer(11, [1, 0, 0, 0]) == Self.numbers(6, 9))
        #expect(answer(1, [0, 0, 0, 0]) == Self.numbers(32))
        #expect(answer(2, [0, 0, 0, 0]) == Self.numbers(.max))
        // What is free changes, unless it is always told to be everything.
        #expect(answer(11, [1, 0, 0, 0], true) == nil)
        #expect(answer(11, [0, 0, 0, 0], true) == Self.numbers(5, 5))
        // A device that is not there, another length, other commands.
        #expect(answer(1, [2, 0, 0, 0]) == nil)
        #expect(answer(15, [0]) == nil)
        #expect(answer(14, []) == nil)
        for command in [0, 3, 4, 5, 6, 7, 8, 9, 10, 12, 13, 16, 17, 18, 19, 20, 99] as [UInt8] {
            #expect(answer(command, []) == nil)
            #expect(answer(command, [0, 0, 0, 0]) == nil)
        }
    }

    // MARK: - Allocation sizes

    /// A GET_ALLOC_SIZE whose addresses begin somewhere.
    private func question(at base: UInt64, width: UInt32 = 64, buffer: UInt64 = 0) -> [UInt8] {
        func tensor(_ id: UInt64, _ sources: [UInt64], _ buffer: UInt64) -> [UInt8] {
            var bytes: [UInt8] = []
            bytes.append(littleEndian: id)
            bytes.append(littleEndian: 0 as UInt32)
            bytes.append(littleEndian: buffer)
            for number in [width, 5, 1, 1, 4, 256, 1280, 1280] as [UInt32] {
                bytes.append(littleEndian: number)
            }
            bytes.append(littleEndian: 29 as UInt32)
            bytes += [UInt8](repeating: 3, count: 64 + 4)
            for index in 0..<10 {
                bytes.append(littleEndian: index < sources.count ? sources[index] : 0)
            }
            for number in [0, 0, 0] as [UInt64] { bytes.append(littleEndian: number) }
            let name = Array("node-\(base)".utf8)
            return bytes + name + [UInt8](repeating: 0, count: 68 - name.count)
        }
        var payload: [UInt8] = []
        payload.append(littleEndian: 1 as UInt32)
        payload += tensor(base, [base + 8, base + 16], buffer)
        payload += tensor(base + 8, [], base + 24)
        payload += tensor(base + 16, [], 0)
        return payload + [UInt8](repeating: 0, count: 8 * RPCTensor.byteCount)
    }

    @Test func `the same question in another run is the same question`() throws {
        let first = try #require(RPCAllocQuestion(question(at: 0x5555_0000)))
        #expect(first.device == 1)
        #expect(first == RPCAllocQuestion(question(at: 0x7777_0000)))
        #expect(first != RPCAllocQuestion(question(at: 0x5555_0000, width: 65)))
        // The server's own buffer decides there.
        #expect(RPCAllocQuestion(question(at: 0x5555_0000, buffer: 7)) == nil)
        #expect(RPCAllocQuestion(Array(question(at: 1).dropLast())) == nil)
        #expect(RPCAllocQuestion(question(at: 1) + [0]) == nil)
    }

    @Test func `answers are kept up to the limit`() throws {
        var sizes = RPCAllocSizes()
        for width in 0..<UInt32(RPCAllocSizes.answerLimit) {
            let asked = try #require(RPCAllocQuestion(question(at: 9, width: width)))
            #expect(sizes[asked] == nil)
            sizes.learn(asked, UInt64(width))
        }
        let known = try #require(RPCAllocQuestion(question(at: 10, width: 77)))
        #expect(sizes[known] == 77)
        let more = try #require(RPCAllocQuestion(question(at: 9, width: 1 << 20)))
        sizes.learn(more, 5)
        #expect(sizes.count == 1)
        #expect(sizes[more] == 5)
    }
}
