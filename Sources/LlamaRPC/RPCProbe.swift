package import Primitives

/// One device of an RPC server; the order is the server's.
package struct RPCDevice: Equatable, Sendable {
    /// As the server reports it; for a CPU always equal to the total, so good for nothing.
    package var memoryFree: ByteCount
    package var memoryTotal: ByteCount

    package init(memoryFree: ByteCount, memoryTotal: ByteCount) {
        self.memoryFree = memoryFree
        self.memoryTotal = memoryTotal
    }
}

/// Why a server's answers make no sense.
package enum RPCProbeError: Error, Equatable {
    /// A reply of another length than the command's.
    case badReplyLength(command: UInt8, expected: UInt64, found: UInt64)
    /// No server has that many devices.
    case tooManyDevices(UInt32, limit: UInt32)
    /// More came than was asked for.
    case unaskedBytes(Int)
}

/// Asks an RPC server for its version, its devices and their memory, byte by byte, whatever the
/// pieces in which the answers arrive (`ggml-rpc.cpp`).
///
/// A server serves one client at a time: never probe one that is in use, and close at once.
package struct RPCProbe: Sendable {
    package static let deviceLimit: UInt32 = 16

    private static let hello: UInt8 = 0x0E
    private static let deviceCount: UInt8 = 0x0F
    private static let deviceMemory: UInt8 = 0x0B
    private static let helloByteCount = 24

    package struct Answer: Equatable, Sendable {
        package var version: RPCVersion
        package var devices: [RPCDevice]

        package init(version: RPCVersion, devices: [RPCDevice]) {
            self.version = version
            self.devices = devices
        }
    }

    package enum Step: Equatable, Sendable {
        /// Send these bytes, then feed what comes back.
        case send([UInt8])
        case needsMore
        case done(Answer)
    }

    private enum State {
        case hello
        case count
        case memory(device: UInt32, of: UInt32)
        case done
    }

    private var state = State.hello
    private var buffer: [UInt8] = []
    private var version = RPCVersion(major: 0, minor: 0, patch: 0)
    private var devices: [RPCDevice] = []

    private let greeting: Greeting

    /// How HELLO is said; a server closes on the other's.
    package enum Greeting: Sendable, CaseIterable {
        /// With 24 bytes of capabilities, all zero.
        case current
        /// Without a payload, as servers up to 3.6 want it.
        case empty
    }

    package init(_ greeting: Greeting = .current) {
        self.greeting = greeting
    }

    /// What is sent when the connection stands.
    package var opening: [UInt8] {
        let byteCount = greeting == .current ? Self.helloByteCount : 0
        return Self.request(Self.hello, payload: [UInt8](repeating: 0, count: byteCount))
    }

    /// Takes bytes from the server and says what to do next; after an error, close.
    package mutating func receive(_ bytes: [UInt8]) throws(RPCProbeError) -> Step {
        if case .done = state { return .needsMore }
        buffer += bytes
        switch state {
        case .hello:
            guard let reply = try takeReply(to: Self.hello, lengths: [28, 3, 4]) else {
                return .needsMore
            }
            version = RPCVersion(major: reply[0], minor: reply[1], patch: reply[2])
            state = .count
            return .send(Self.request(Self.deviceCount, payload: []))
        case .count:
            guard let reply = try takeReply(to: Self.deviceCount, lengths: [4]) else {
                return .needsMore
            }
            var offset = 0
            let count = (try? reply.span.readLittleEndian(UInt32.self, at: &offset)) ?? 0
            guard count <= Self.deviceLimit else {
                throw .tooManyDevices(count, limit: Self.deviceLimit)
            }
            return askMemory(of: 0, count: count)
        case .memory(let device, let count):
            guard let reply = try takeReply(to: Self.deviceMemory, lengths: [16]) else {
                return .needsMore
            }
            var offset = 0
            let free = (try? reply.span.readLittleEndian(UInt64.self, at: &offset)) ?? 0
            let total = (try? reply.span.readLittleEndian(UInt64.self, at: &offset)) ?? 0
            devices.append(
                RPCDevice(memoryFree: ByteCount(free), memoryTotal: ByteCount(total))
            )
            return askMemory(of: device + 1, count: count)
        case .done: return .needsMore
        }
    }

    private mutating func askMemory(of device: UInt32, count: UInt32) -> Step {
        guard device < count else {
            state = .done
            return .done(Answer(version: version, devices: devices))
        }
        state = .memory(device: device, of: count)
        var payload: [UInt8] = []
        payload.append(littleEndian: device)
        return .send(Self.request(Self.deviceMemory, payload: payload))
    }

    /// The payload of a reply that has arrived whole; nil while bytes are missing.
    private mutating func takeReply(
        to command: UInt8,
        lengths: [UInt64]
    ) throws(RPCProbeError) -> [UInt8]? {
        var offset = 0
        guard let length = try? buffer.span.readLittleEndian(UInt64.self, at: &offset) else {
            return nil
        }
        guard lengths.contains(length) else {
            throw .badReplyLength(command: command, expected: lengths[0], found: length)
        }
        guard let payload = try? buffer.span.readBytes(Int(length), at: &offset) else {
            return nil
        }
        // A server never speaks unasked, so nothing can follow a reply.
        guard offset == buffer.count else { throw .unaskedBytes(buffer.count - offset) }
        buffer = []
        return payload
    }

    private static func request(_ command: UInt8, payload: [UInt8]) -> [UInt8] {
        var bytes = [command]
        bytes.append(littleEndian: UInt64(payload.count))
        return bytes + payload
    }
}
