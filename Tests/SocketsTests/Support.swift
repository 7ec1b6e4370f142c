import EventLoop
import Foundation
import Primitives
@testable import Sockets
import Synchronization
import Testing

/// All tests of this module run one after the other: some count the process's descriptors.
@Suite(.serialized) struct SocketsTests {}

/// Waits, generously, until the condition holds.
func eventually(
    _ condition: () -> Bool,
    sourceLocation: SourceLocation = #_sourceLocation
) async throws {
    let clock = ContinuousClock()
    let deadline = clock.now + .seconds(30)
    while !condition() {
        guard clock.now < deadline else {
            Issue.record("did not happen within 30 s", sourceLocation: sourceLocation)
            throw CancellationError()
        }
        try await Task.sleep(for: .milliseconds(2))
    }
}

/// Runs the body with a loop that is stopped afterwards.
func withLoop(
    _ mechanism: PollMechanism = .best,
    _ body: (PollLoop) async throws -> Void
) async throws {
    let loop = try PollLoop(name: "test-loop", mechanism: mechanism)
    defer {
        loop.stop()
        loop.waitUntilStopped()
    }
    try await body(loop)
}

/// What happened, in order, from any thread.
final class Recorder<Element: Sendable>: Sendable {
    private let elements = Mutex<[Element]>([])

    func append(_ element: Element) { elements.withLock { $0.append(element) } }
    var all: [Element] { elements.withLock { $0 } }
    var count: Int { elements.withLock { $0.count } }
}

/// The events of one stream.
final class StreamRecorder: Sendable {
    private let state = Mutex(State())

    struct State {
        var isOpened = false
        var bytes: [UInt8] = []
        var closures: [StreamClosure] = []
        var eventsAfterEnd = 0
    }

    func note(_ event: StreamEvent) {
        state.withLock { state in
            if !state.closures.isEmpty { state.eventsAfterEnd += 1 }
            switch event {
            case .opened: state.isOpened = true
            case .received(let bytes): state.bytes += bytes
            case .closed(let closure): state.closures.append(closure)
            }
        }
    }

    var now: State { state.withLock { $0 } }
    var closure: StreamClosure? { now.closures.first }
    var isOpened: Bool { now.isOpened }
    var bytes: [UInt8] { now.bytes }
}

extension Endpoint {
    static func loopback(_ lastByte: UInt32 = 1, port: UInt16 = 0) -> Endpoint {
        Endpoint(address: .v4(0x7F00_0000 | lastByte), port: port)
    }
}

/// A blocking socket, as another program would use it.
final class Peer: Sendable {
    let descriptor: Int32
    private let isOpen = Mutex(true)

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        let flags = fcntl(descriptor, F_GETFL)
        _ = fcntl(descriptor, F_SETFL, flags & ~O_NONBLOCK)
    }

    deinit { close() }

    static func connected(to endpoint: Endpoint) throws -> Peer {
        let peer = Peer(socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0))
        var address = endpoint.sockaddr
        let status = unsafe withUnsafePointer(to: &address) { pointer in
            unsafe pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(peer.descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard status == 0 else { throw POSIXError(POSIXErrorCode(rawValue: errno) ?? .EIO) }
        return peer
    }

    func write(_ bytes: [UInt8]) -> Bool {
        var offset = 0
        while offset < bytes.count {
            let sent = unsafe bytes.withUnsafeBytes { raw in
                let part = unsafe UnsafeRawBufferPointer(rebasing: raw[offset...])
                return unsafe send(descriptor, part.baseAddress, part.count, Int32(MSG_NOSIGNAL))
            }
            guard sent > 0 else { return false }
            offset += sent
        }
        return true
    }

    /// Nil for an error, empty at the end.
    func read(upTo count: Int = 1 << 16) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: count)
        let received = unsafe bytes.withUnsafeMutableBytes { raw in
            unsafe recv(descriptor, raw.baseAddress, raw.count, 0)
        }
        return received < 0 ? nil : Array(bytes[..<received])
    }

    func readAll() -> [UInt8]? {
        var all: [UInt8] = []
        while let bytes = read() {
            if bytes.isEmpty { return all }
            all += bytes
        }
        return nil
    }

    func endWriting() { shutdown(descriptor, Int32(SHUT_WR)) }

    func close() {
        isOpen.withLock { isOpen in
            if isOpen { Foundation.close(descriptor) }
            isOpen = false
        }
    }
}

extension Endpoint {
    /// IPv4 only.
    var sockaddr: sockaddr_in {
        var result = sockaddr_in()
        guard case .v4(let bits) = address else { return result }
        result.sin_family = sa_family_t(AF_INET)
        result.sin_port = port.bigEndian
        result.sin_addr.s_addr = bits.bigEndian
        return result
    }
}

/// A listening socket that hands out blocking peers.
final class Server: Sendable {
    let endpoint: Endpoint
    private let socket: Socket

    init(backlog: Int32 = 64) throws {
        socket = try Socket.make(.streams, for: .loopback)
        try socket.bind(to: .loopback(), kind: .streams)
        endpoint = try #require(socket.local)
        try socket.listen(backlog, at: endpoint)
        let flags = fcntl(socket.descriptor, F_GETFL)
        _ = fcntl(socket.descriptor, F_SETFL, flags & ~O_NONBLOCK)
    }

    /// Waits for a connection.
    func accept() throws -> Peer {
        let descriptor = Foundation.accept(socket.descriptor, nil, nil)
        guard descriptor >= 0 else { throw POSIXError(.EIO) }
        return Peer(descriptor)
    }

    func close() { socket.close() }
}

/// Runs a blocking body on a thread of its own.
func onThread<Result: Sendable>(_ body: @escaping @Sendable () -> Result) async -> Result {
    await withCheckedContinuation { continuation in
        do {
            try SystemThread.start(name: "test-peer") { continuation.resume(returning: body()) }
        } catch {
            preconditionFailure("no thread for a test: \(error)")
        }
    }
}

/// A block of random bytes, repeated: its length is a prime, so that nothing else has its period.
func randomBytes(_ count: Int, seed: UInt64) -> [UInt8] {
    var generator = SeededGenerator(seed: seed)
    let block = (0..<min(count, 65_537)).map { _ in
        UInt8(truncatingIfNeeded: generator.next())
    }
    var bytes: [UInt8] = []
    bytes.reserveCapacity(count)
    while bytes.count < count { bytes += block[..<min(block.count, count - bytes.count)] }
    return bytes
}

func openDescriptorCount() throws -> Int {
    try FileManager.default.contentsOfDirectory(atPath: "/proc/self/fd").count
}
