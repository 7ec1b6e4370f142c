import EventLoop
import FoundationEssentials
import Primitives
import Processes
import SecureChannel
import Sockets
import Synchronization

/// How fast bytes pass two relays with a sealed stream between them, beside other ways.
struct ThroughputBench: Sendable {
    /// A way that bytes can take; named as in the report.
    enum Way: String, CaseIterable, Codable, Sendable {
        /// One TCP connection.
        case plain = "plain TCP"
        /// Two relays that open and seal nothing.
        case relay = "two relays, not sealed"
        /// As between two agents.
        case sealed = "two relays, sealed"
        case stunnel = "two stunnels"
    }

    let byteCount: Int
    let rounds: Int
    /// Nil if it is not installed.
    let stunnel: String?
    let suite: NoiseSuite

    /// Bytes per second of each way, the median of the rounds; ways take turns.
    func run() async throws -> [Way: Double] {
        let meter = try TrafficMeter()
        defer { meter.stop() }
        let chain = try RelayChain(to: meter.exit, suite)
        defer { chain.stop() }
        let tunnel = try await startStunnel(to: meter.exit)
        defer { tunnel?.stop() }
        var results: [Way: [Double]] = [:]
        for _ in 0..<rounds {
            for way in Way.allCases {
                let entrance: Endpoint
                switch way {
                case .plain: entrance = meter.exit
                case .relay: entrance = chain.plainDoor
                case .sealed: entrance = chain.sealedDoor
                case .stunnel:
                    guard let tunnel else { continue }
                    entrance = tunnel.entrance
                }
                let duration = try await meter.push(byteCount, into: entrance)
                results[way, default: []].append(Double(byteCount) / duration.inSeconds)
            }
        }
        return results.compactMapValues(BenchReport.median)
    }

    /// How many bytes per second one thread seals, and opens, in records as the relay's.
    func cipher() throws -> (seal: Double, open: Double) {
        var (near, far) = try RecordLayer.pair(suite)
        let plain = [UInt8](repeating: 7, count: RecordLayer.plainByteLimit)
        let recordCount = max(1, min(byteCount, 512 << 20) / plain.count)
        var (sealing, opening): (Duration, Duration) = (.zero, .zero)
        var (record, opened): ([UInt8], [UInt8]) = ([], [])
        for _ in 0..<recordCount {
            record.removeAll(keepingCapacity: true)
            opened.removeAll(keepingCapacity: true)
            let began = ContinuousClock.now
            try near.seal(plain[...], into: &record)
            let sealed = ContinuousClock.now
            try far.receive(record[...], into: &opened)
            opening += ContinuousClock.now - sealed
            sealing += sealed - began
        }
        let total = Double(recordCount * plain.count)
        return (total / sealing.inSeconds, total / opening.inSeconds)
    }

    private func startStunnel(to exit: Endpoint) async throws -> StunnelPair? {
        guard let stunnel else { return nil }
        let pair = try StunnelPair(stunnel, to: exit)
        try await pair.start()
        return pair
    }
}

/// Two relays in this process, joined by a stream over loopback.
private final class RelayChain: Sendable {
    let plainDoor: Endpoint
    let sealedDoor: Endpoint
    private let loop: PollLoop
    private let near = Relay(name: "bench-near")
    private let far = Relay(name: "bench-far")
    private let listeners: [StreamListener]
    private let transport: SocketStreamTransport
    private let farRecords = Mutex<[RecordLayer?]>([])
    private let suite: NoiseSuite

    init(to exit: Endpoint, _ suite: NoiseSuite) throws {
        self.suite = suite
        let loop = try PollLoop(name: "bench-doors")
        self.loop = loop
        transport = SocketStreamTransport(on: loop, relay: near)
        let place = Endpoint(address: .loopback, port: 0)
        listeners = try (0..<3).map { _ in try StreamListener(on: loop, at: place) }
        plainDoor = listeners[0].local
        sealedDoor = listeners[1].local
        let wire = listeners[2].local
        accept(listeners[0]) { [self] in enter($0, sealed: false, wire) }
        accept(listeners[1]) { [self] in enter($0, sealed: true, wire) }
        accept(listeners[2]) { [self] stream in
            let records = farRecords.withLock { $0.removeFirst() }
            far.splice(stream, to: exit, options: RelayOptions(firstRecords: records))
        }
    }

    func stop() {
        loop.stop()
        loop.waitUntilStopped()
        near.stop()
        far.stop()
    }

    private func accept(
        _ listener: StreamListener,
        _ take: @escaping @Sendable (DetachedStream) -> Void
    ) {
        loop.execute { [loop] in
            try? listener.assumeIsolated { listener in
                try listener.start { stream in
                    loop.execute { stream.detach().map(take) }
                    return { _ in }
                }
            }
        }
    }

    /// Leads a client over the wire.
    private func enter(_ client: DetachedStream, sealed: Bool, _ wire: Endpoint) {
        let records = sealed ? try? RecordLayer.pair(suite) : nil
        connect(client, wire, near: records?.near, far: records?.far)
    }

    private func connect(
        _ client: DetachedStream,
        _ wire: Endpoint,
        near nearRecords: RecordLayer?,
        far: RecordLayer?
    ) {
        farRecords.withLock { $0.append(far) }
        let opened = OpeningStream()
        opened.stream =
            transport.connect(to: wire, timeout: .seconds(5)) { [near] event in
                guard case .opened = event, let detached = opened.stream?.detach() else { return }
                opened.stream = nil
                near.join(client, detached, options: RelayOptions(secondRecords: nearRecords))
            } as? SocketStream
    }

    /// Used on the loop only.
    private final class OpeningStream: @unchecked Sendable {
        var stream: SocketStream?
    }
}

/// A stunnel that seals and one that opens, with a key in common.
private final class StunnelPair: Sendable {
    let entrance: Endpoint
    private let program: String
    private let folder: String
    private let processes = Mutex<[ChildProcess]>([])

    init(_ program: String, to exit: Endpoint) throws {
        self.program = program
        let ports = try Self.freePorts(2)
        entrance = Endpoint(address: .loopback, port: ports[0])
        let middle = Endpoint(address: .loopback, port: ports[1])
        folder = FileManager.default.temporaryDirectory
            .appending(path: "caravan-bench-\(entrance.port)").path()
        let files = FileManager.default
        try files.createDirectory(atPath: folder, withIntermediateDirectories: true)
        let key = (0..<32).map { _ in String(UInt8.random(in: 0...255), radix: 16) }.joined()
        try Data("bench:\(key)\n".utf8).write(to: URL(filePath: folder + "/secrets"))
        try files.setAttributes([.posixPermissions: 0o600], ofItemAtPath: folder + "/secrets")
        let common = "foreground = yes\npid =\ndebug = 3\n"
        func section(_ from: Endpoint, _ to: Endpoint, isClient: Bool) -> String {
            """
            \(common)[bench]
            client = \(isClient ? "yes" : "no")
            accept = \(from)
            connect = \(to)
            ciphers = PSK
            PSKsecrets = \(folder)/secrets

            """
        }
        try Data(section(entrance, middle, isClient: true).utf8)
            .write(to: URL(filePath: folder + "/client.conf"))
        try Data(section(middle, exit, isClient: false).utf8)
            .write(to: URL(filePath: folder + "/server.conf"))
    }

    func start() async throws {
        for name in ["server", "client"] {
            let command = ChildCommand(
                executable: program,
                arguments: ["\(folder)/\(name).conf"]
            )
            let process = ChildProcess.start(command) { _ in }
            processes.withLock { $0.append(process) }
        }
        // It says nowhere that it listens.
        try await Task.sleep(for: .milliseconds(500))
    }

    func stop() {
        for process in processes.withLock({ $0 }) { process.signal(.kill) }
        try? FileManager.default.removeItem(atPath: folder)
    }

    private static func freePorts(_ count: Int) throws -> [UInt16] {
        let loop = try PollLoop(name: "bench-ports")
        let listeners = try (0..<count).map { _ in
            try StreamListener(on: loop, at: Endpoint(address: .loopback, port: 0))
        }
        let ports = listeners.map(\.local.port)
        loop.executeAndWait {
            for listener in listeners { listener.assumeIsolated { $0.close() } }
        }
        loop.stop()
        return ports
    }
}
