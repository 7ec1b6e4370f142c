import EventLoop
import Gateway
import Primitives
import Runtime
import SecureChannel
import Sockets
import TensorPieces
import Wire

/// Doors on this machine's loopback, one for each worker, through which llama-server reaches the
/// workers' RPC servers: `--rpc` names a door, and whoever enters it comes out at the worker.
actor WorkerDoors: WorkerTunnels {
    private nonisolated let loop: PollLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.executor }

    private nonisolated let address: IPAddress
    private let services: ServiceClient
    private let relay: Relay
    private let log: @Sendable (LogRecord) -> Void
    private var whereIs: (@Sendable (NodeID) -> Endpoint?)?
    private var ballot: Ballot?
    private var doors: [NodeID: StreamListener] = [:]

    static let doorLimit = 64
    /// What a client may say before its way stands.
    static let earlyByteLimit = 1 << 16
    /// llama-server opens a handful of connections to each worker.
    static let clientLimit = 32

    init(
        on loop: PollLoop,
        at address: IPAddress,
        services: ServiceClient,
        relay: Relay,
        log: @escaping @Sendable (LogRecord) -> Void
    ) {
        self.loop = loop
        self.address = address
        self.services = services
        self.relay = relay
        self.log = log
    }

    /// - Parameter whereIs: where the agent of a member is reached; called on the loop.
    func begin(whereIs: @escaping @Sendable (NodeID) -> Endpoint?) {
        self.whereIs = whereIs
    }

    func close() {
        for door in doors.values { door.assumeIsolated { $0.close() } }
        doors = [:]
        whereIs = nil
    }

    nonisolated func endpoint(to worker: NodeID) -> Endpoint? {
        assumeIsolated { $0.door(to: worker) }
    }

    nonisolated func opens(under ballot: Ballot?) {
        assumeIsolated { doors in
            let before = doors.ballot
            doors.ballot = ballot
            guard ballot == nil, let before else { return }
            doors.relay.end { $0.ballot?.node == before.node && $0.node != nil }
        }
    }

    private func door(to worker: NodeID) -> Endpoint? {
        if let door = doors[worker] { return door.local }
        guard doors.count < Self.doorLimit else { return nil }
        do {
            let door = try StreamListener(
                on: loop,
                at: Endpoint(address: address, port: 0),
                streamLimit: Self.clientLimit
            )
            try door.assumeIsolated { listener in
                try listener.start { [self] client in
                    assumeIsolated { $0.enter(client, to: worker) }
                }
            }
            doors[worker] = door
            return door.local
        } catch {
            log(
                LogRecord(
                    "relay.door.failed",
                    .error,
                    "No way to a worker's rpc-server can be opened on this machine: \(error)",
                    ["node": .text("\(worker)")]
                )
            )
            return nil
        }
    }

    /// Somebody on this machine wants to a worker.
    private func enter(
        _ client: SocketStream,
        to worker: NodeID
    ) -> @Sendable (StreamEvent) -> Void {
        let visit = Visit(client)
        guard let ballot, let endpoint = whereIs?(worker) else {
            loop.execute { client.close() }
            return { _ in }
        }
        services.open(
            .rpcServer,
            ballot: ballot,
            of: worker,
            at: endpoint,
            offering: .tensorsByName
        ) { [self] result in
            assumeIsolated { $0.opened(result, visit, ballot, worker) }
        }
        return { [self] event in assumeIsolated { _ in visit.handle(event) } }
    }

    private func opened(
        _ result: Result<OpenedService, GatewayRefusal>,
        _ visit: Visit,
        _ ballot: Ballot,
        _ worker: NodeID
    ) {
        switch result {
        case .failure(let refusal):
            log(
                LogRecord(
                    "relay.refused",
                    .warning,
                    "The way to a worker's rpc-server is closed: \(refusal)",
                    ["node": .text("\(worker)"), "reason": .text("\(refusal)")]
                )
            )
            visit.client.close()
        case .success(let opened):
            guard !visit.isOver, let client = visit.client.detach() else {
                relay.discard(opened.stream)
                visit.client.close()
                return
            }
            relay.join(
                client,
                first: visit.early,
                opened.stream,
                options: RelayOptions(
                    secondRecords: opened.records,
                    tag: RelayTag(ballot: ballot, node: worker),
                    makeFilter: filter(opened.features, worker)
                )
            )
        }
    }

    /// What sees the bytes to a worker; nil where they pass as they are.
    private func filter(
        _ features: ServiceFeatures,
        _ worker: NodeID
    ) -> (@Sendable () -> any RelayFilter)? {
        guard features.contains(.tensorsByName) else { return nil }
        return { [log] in
            NamedTensorsSender { totals in log(LogRecord(totals, worker)) }
        }
    }
}

extension LogRecord {
    fileprivate init(_ totals: TensorTotals, _ worker: NodeID) {
        let found = ByteCount(totals.foundByteCount)
        let all = ByteCount(totals.byteCount)
        let message =
            found == .zero
            ? "All \(all) of the weights of worker \(worker.short) travelled; it keeps them for the "
                + "next launch as far as its disk allows"
            : "\(found) of \(all) of the weights of worker \(worker.short) did not have to travel: "
                + "it had them"
        self.init(
            "tensors.loaded",
            .info,
            message,
            [
                "node": .text("\(worker)"),
                "foundBytes": .integer(Int64(clamping: totals.foundByteCount)),
                "sentBytes": .integer(Int64(clamping: totals.sentByteCount)),
                "foundPieces": .integer(Int64(totals.foundPieces)),
                "sentPieces": .integer(Int64(totals.sentPieces)),
            ]
        )
    }
}

/// A client between a door and its worker, while the way is opened; used on the loop only.
private final class Visit: @unchecked Sendable {
    let client: SocketStream
    private(set) var early: [UInt8] = []
    private(set) var isOver = false

    init(_ client: SocketStream) {
        self.client = client
    }

    func handle(_ event: StreamEvent) {
        switch event {
        case .opened: break
        case .received(let bytes):
            early += bytes
            // An RPC client asks and waits.
            if early.count > WorkerDoors.earlyByteLimit { client.close() }
        case .closed: isOver = true
        }
    }
}
