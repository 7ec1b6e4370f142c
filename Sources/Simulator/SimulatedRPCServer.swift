import EventLoop
import LayerPlacement
import LlamaRPC
import Primitives
import Runtime
import Supervision

/// Which faults a device's RPC servers have now.
struct RPCServerFaults {
    private var counts: [RPCServerFault: Int] = [:]

    func has(_ fault: RPCServerFault) -> Bool { (counts[fault] ?? 0) > 0 }

    mutating func begin(_ fault: RPCServerFault) { counts[fault, default: 0] += 1 }

    mutating func end(_ fault: RPCServerFault) { counts[fault, default: 1] -= 1 }
}

extension SimulatedHost {
    func begin(_ fault: RPCServerFault) {
        rpcFaults.begin(fault)
        guard fault == .die else { return }
        for case let server as SimulatedRPCServer in processes { server.exit(.signalled(11)) }
    }

    func end(_ fault: RPCServerFault) {
        rpcFaults.end(fault)
        guard fault == .hang else { return }
        for case let server as SimulatedRPCServer in processes { server.serve() }
    }
}

/// `ggml-rpc-server` as it was measured: it serves one client at a time, two more may wait, and
/// whoever waits gets no answer.
final class SimulatedRPCServer: SimulatedProcess, @unchecked Sendable {
    /// What a client sends; the ids are llama.cpp's.
    enum Command {
        static let allocate: UInt8 = 0
        static let memory: UInt8 = 11
        static let hello: UInt8 = 14
        static let deviceCount: UInt8 = 15
    }

    private struct Client {
        let stream: SimulatedStream
        var bytes: [UInt8] = []
    }

    static let version = RPCVersion(major: 8, minor: 0, patch: 0)
    private static let waitingLimit = 2
    private static let deviceByteCount: UInt64 = 8 << 30
    private static let startTime: ClosedRange<Duration> = .milliseconds(30) ... .milliseconds(150)

    /// The session for which the agent started it.
    let session: SessionID?
    /// The first is served.
    private var clients: [Client] = []

    init(
        _ world: SimulatedWorld,
        for session: SessionID?,
        onEvent: @escaping @Sendable (ChildProcessEvent) -> Void
    ) {
        self.session = session
        super.init(world, onEvent: onEvent)
    }

    func start(on port: UInt16) {
        tell(.started(pid: pid, command: "ggml-rpc-server"))
        after(host.generator.duration(in: Self.startTime)) { [self] in
            say("Starting RPC server v\(Self.version)")
            let isListening = listen(
                on: port,
                hasRoom: { [unowned self] in clients.count <= Self.waitingLimit },
                accept: { [unowned self] in accept($0) }
            )
            // For a taken port too the exit code is 0.
            if !isListening { exit(.exited(code: 0)) }
        }
    }

    override func ended() {
        clients = []
    }

    private func accept(_ stream: SimulatedStream) {
        clients.append(Client(stream: stream))
        stream.onEvent = { [unowned self, unowned stream] event in
            happened(event, on: stream)
        }
        if clients.count == 1 { say("Accepted client connection") }
    }

    private func happened(_ event: StreamEvent, on stream: SimulatedStream) {
        guard let index = clients.firstIndex(where: { $0.stream === stream }) else { return }
        switch event {
        case .opened: break
        case .received(let bytes):
            clients[index].bytes += bytes
            if index == 0 { serve() }
        case .closed: drop(index)
        }
    }

    private func drop(_ index: Int) {
        clients.remove(at: index)
        guard index == 0 else { return }
        say("Client connection closed")
        if !clients.isEmpty {
            say("Accepted client connection")
            serve()
        }
    }

    /// Answers the client whose turn it is.
    func serve() {
        guard !host.rpcFaults.has(.hang) else { return }
        while let client = clients.first, client.bytes.count >= 9 {
            var offset = 1
            let length =
                (try? client.bytes.span.readLittleEndian(UInt64.self, at: &offset)) ?? 0
            guard length <= 1024 else {
                refuse(client)
                return
            }
            guard client.bytes.count >= 9 + Int(length) else { return }
            clients[0].bytes.removeFirst(9 + Int(length))
            guard let reply = reply(to: client.bytes[0]) else {
                refuse(client)
                return
            }
            var bytes: [UInt8] = []
            bytes.append(littleEndian: UInt64(reply.count))
            client.stream.send(bytes + reply)
        }
    }

    private func refuse(_ client: Client) {
        client.stream.close()
        drop(0)
    }

    /// Nil for what no client of ours asks; the server closes then.
    private func reply(to command: UInt8) -> [UInt8]? {
        var reply: [UInt8] = []
        switch command {
        case Command.hello:
            let isOther = host.rpcFaults.has(.otherVersion)
            reply = [isOther ? Self.version.major + 1 : Self.version.major, 0, 0, 0]
            reply += [UInt8](repeating: 0, count: 24)
        case Command.deviceCount: reply.append(littleEndian: 1 as UInt32)
        case Command.memory:
            reply.append(littleEndian: Self.deviceByteCount)
            reply.append(littleEndian: Self.deviceByteCount)
        case Command.allocate:
            let isRefused = host.rpcFaults.has(.refuse)
            reply.append(littleEndian: isRefused ? 0 : 0x7F00_0000 as UInt64)
            reply.append(littleEndian: isRefused ? 0 : 1 << 20 as UInt64)
        default: return nil
        }
        return reply
    }
}
