internal import Primitives

/// What an RPC server always answers in the same way, while its process lives.
package struct RPCServerFacts: Equatable, Sendable {
    package struct Device: Equatable, Sendable {
        package var memory: RPCDevice
        package var alignment: UInt64
        package var maxSize: UInt64

        package init(memory: RPCDevice, alignment: UInt64, maxSize: UInt64) {
            self.memory = memory
            self.alignment = alignment
            self.maxSize = maxSize
        }

        /// A device whose memory is the machine's own: of such a one ggml computes allocation
        /// sizes in one way, whatever the machine.
        package var isHost: Bool { maxSize == .max && memory.memoryFree == memory.memoryTotal }
    }

    package var version: RPCVersion
    package var devices: [Device]

    package init(version: RPCVersion, devices: [Device]) {
        self.version = version
        self.devices = devices
    }

    /// How many bytes of a request's payload are enough to answer it; nil for commands that only
    /// the server can answer.
    package static func answerableByteCount(_ command: UInt8) -> UInt64? {
        switch RPCCommand(rawValue: command) {
        case .hello: 24
        case .deviceCount: 0
        case .getDeviceMemory, .getAlignment, .getMaxSize: 4
        default: nil
        }
    }

    /// The payload of the server's answer to a request; nil if only the server knows it.
    ///
    /// - Parameter hasAllocated: whether the connection has taken memory, so that what is free
    ///   may be less than it was.
    package func answer(
        to command: UInt8,
        _ payload: [UInt8],
        hasAllocated: Bool
    ) -> [UInt8]? {
        guard UInt64(payload.count) == Self.answerableByteCount(command) else { return nil }
        var answer: [UInt8] = []
        switch RPCCommand(rawValue: command) {
        case .hello:
            answer = [version.major, version.minor, version.patch, 0]
            // No capabilities: what both sides have in common would leave the stream.
            return answer + [UInt8](repeating: 0, count: 24)
        case .deviceCount: answer.append(littleEndian: UInt32(devices.count))
        case .getDeviceMemory:
            guard let device = device(payload) else { return nil }
            let memory = device.memory
            if hasAllocated, memory.memoryFree != memory.memoryTotal { return nil }
            answer.append(littleEndian: memory.memoryFree.bytes)
            answer.append(littleEndian: memory.memoryTotal.bytes)
        case .getAlignment:
            guard let device = device(payload) else { return nil }
            answer.append(littleEndian: device.alignment)
        case .getMaxSize:
            guard let device = device(payload) else { return nil }
            answer.append(littleEndian: device.maxSize)
        default: return nil
        }
        return answer
    }

    private func device(_ payload: [UInt8]) -> Device? {
        var offset = 0
        guard let number = try? payload.span.readLittleEndian(UInt32.self, at: &offset),
            number < devices.count
        else { return nil }
        return devices[Int(number)]
    }
}

/// Asks an RPC server for what it always answers, in two turn-arounds.
///
/// Questions do not wait for each other's answers: a server reads them one after the other. Each
/// server has a first device, so that is asked for at once.
package struct RPCFactsProbe: Sendable {
    package enum Step: Equatable, Sendable {
        case needsMore
        case send([UInt8])
        case done(RPCServerFacts)
    }

    private static let perDevice: [RPCCommand] = [.getDeviceMemory, .getAlignment, .getMaxSize]

    private var replies = RPCFrameReader(.replies)
    /// What comes next, as answers to these questions.
    private var awaited: [RPCCommand] = [.hello, .deviceCount] + perDevice
    private var version = RPCVersion(major: 0, minor: 0, patch: 0)
    private var deviceCount = 0
    private var numbers: [UInt64] = []
    private var devices: [RPCServerFacts.Device] = []

    package init() {}

    package var opening: [UInt8] {
        var bytes: [UInt8] = []
        Self.ask(.hello, [UInt8](repeating: 0, count: 24), &bytes)
        Self.ask(.deviceCount, [], &bytes)
        Self.ask(device: 0, &bytes)
        return bytes
    }

    /// Takes bytes from the server and says what to do next; after an error, close.
    package mutating func receive(_ bytes: [UInt8]) throws(RPCProbeError) -> Step {
        var rest = bytes[...]
        var step = Step.needsMore
        while let event = try next(&rest) {
            switch event {
            case .begins(let header):
                guard let command = awaited.first else {
                    throw .unaskedBytes(rest.count + 8)
                }
                let expected = Self.answerByteCount(command)
                guard header.payloadByteCount == expected else {
                    throw .badReplyLength(
                        command: command.rawValue,
                        expected: expected,
                        found: header.payloadByteCount
                    )
                }
                replies.collect(prefixByteCount: Int(expected))
            case .prefix(let payload): step = try take(payload, step)
            case .payload: break
            case .ends: awaited.removeFirst()
            }
        }
        return step
    }

    private mutating func next(
        _ rest: inout ArraySlice<UInt8>
    ) throws(RPCProbeError) -> RPCFrameReader.Event? {
        do throws(RPCFramingError) {
            return try replies.next(&rest)
        } catch {
            let command = awaited.first ?? .hello
            throw .badReplyLength(
                command: command.rawValue,
                expected: Self.answerByteCount(command),
                found: .max
            )
        }
    }

    private mutating func take(
        _ payload: [UInt8],
        _ step: Step
    ) throws(RPCProbeError) -> Step {
        var offset = 0
        func number() -> UInt64 {
            (try? payload.span.readLittleEndian(UInt64.self, at: &offset)) ?? 0
        }
        switch awaited[0] {
        case .hello:
            version = RPCVersion(hello: payload) ?? version
            return step
        case .deviceCount:
            let count = (try? payload.span.readLittleEndian(UInt32.self, at: &offset)) ?? 0
            guard count <= RPCProbe.deviceLimit else {
                throw .tooManyDevices(count, limit: RPCProbe.deviceLimit)
            }
            deviceCount = Int(count)
            guard count > 1 else { return step }
            var more: [UInt8] = []
            for device in 1..<count {
                awaited += Self.perDevice
                Self.ask(device: device, &more)
            }
            return .send(more)
        case .getDeviceMemory:
            numbers = [number(), number()]
            return step
        case .getAlignment:
            numbers.append(number())
            return step
        default:
            numbers.append(number())
            guard numbers.count == 4 else { return step }
            devices.append(
                RPCServerFacts.Device(
                    memory: RPCDevice(
                        memoryFree: ByteCount(numbers[0]),
                        memoryTotal: ByteCount(numbers[1])
                    ),
                    alignment: numbers[2],
                    maxSize: numbers[3]
                )
            )
            guard devices.count == deviceCount else { return step }
            return .done(RPCServerFacts(version: version, devices: devices))
        }
    }

    private static func answerByteCount(_ command: RPCCommand) -> UInt64 {
        switch command {
        case .hello: 28
        case .deviceCount: 4
        case .getDeviceMemory: 16
        default: 8
        }
    }

    private static func ask(device: UInt32, _ bytes: inout [UInt8]) {
        var payload: [UInt8] = []
        payload.append(littleEndian: device)
        for command in perDevice { ask(command, payload, &bytes) }
    }

    private static func ask(_ command: RPCCommand, _ payload: [UInt8], _ bytes: inout [UInt8]) {
        RPCHeader.request(
            command: command.rawValue,
            payloadByteCount: UInt64(payload.count)
        ).encode(into: &bytes)
        bytes += payload
    }
}
