import EventLoop
import Gateway
import LayerPlacement
import LlamaRPC
import Primitives
import Runtime
import Sockets
import Synchronization
import TensorPieces

/// Doors on this machine's loopback, one for each worker, through which llama-server reaches the
/// workers' RPC servers: `--rpc` names a door, and whoever enters it comes out at the worker.
actor WorkerDoors: WorkerTunnels {
    private nonisolated let loop: PollLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.executor }

    private nonisolated let address: IPAddress
    private let services: ServiceClient
    private let relay: Relay
    private let dialsAhead: Bool
    private let log: @Sendable (LogRecord) -> Void
    private var members: Members?
    private var ballot: Ballot?
    private var doors: [NodeID: Door] = [:]
    private let sizes = SharedAllocSizes()
    /// Connections of llama-server that stand, and what has passed in them.
    private var connections: [UInt64: (worker: NodeID, counts: ConnectionCounts)] = [:]
    private var nextConnection: UInt64 = 0

    private struct Door {
        let listener: StreamListener
        let way: WorkerWay
    }

    /// What the doors ask of members; called on the loop.
    struct Members: Sendable {
        /// Where the agent of a member is reached.
        var endpoint: @Sendable (NodeID) -> Endpoint?
        /// The version of its llama.cpp.
        var engine: @Sendable (NodeID) -> String?
    }

    static let doorLimit = 64
    /// What a client may say before its way stands.
    static let earlyByteLimit = 1 << 16
    /// llama-server opens a handful of connections to each worker.
    static let clientLimit = 32

    /// - Parameter dialsAhead: workers are mostly reached through their agents.
    init(
        on loop: PollLoop,
        at address: IPAddress,
        services: ServiceClient,
        relay: Relay,
        dialsAhead: Bool,
        log: @escaping @Sendable (LogRecord) -> Void
    ) {
        self.loop = loop
        self.address = address
        self.services = services
        self.relay = relay
        self.dialsAhead = dialsAhead
        self.log = log
    }

    func begin(_ members: Members) {
        self.members = members
    }

    nonisolated func endpoint(to worker: NodeID) -> Endpoint? {
        assumeIsolated { $0.door(to: worker) }
    }

    nonisolated func opens(under ballot: Ballot?) {
        assumeIsolated { doors in
            let before = doors.ballot
            doors.ballot = ballot
            guard ballot == nil, let before else { return }
            for worker in doors.doors.keys.sorted() { doors.doors[worker]?.way.close() }
            doors.relay.end { $0.ballot?.node == before.node && $0.node != nil }
        }
    }

    nonisolated func prepare(for worker: NodeID) {
        assumeIsolated { doors in
            guard doors.dialsAhead, doors.door(to: worker) != nil else { return }
            doors.doors[worker]?.way.prepare()
        }
    }

    nonisolated func transfers() -> [WorkerTransfer] {
        assumeIsolated { $0.countTransfers() }
    }

    private func countTransfers() -> [WorkerTransfer] {
        var found: [NodeID: WorkerTransfer] = [:]
        for (worker, counts) in connections.values {
            let before = found[worker]
            found[worker] = WorkerTransfer(
                node: worker,
                loaded: (before?.loaded ?? .zero) + ByteCount(counts.weightByteCount),
                sent: (before?.sent ?? .zero) + ByteCount(counts.sentByteCount)
            )
        }
        return found.values.sorted { $0.node < $1.node }
    }

    private func door(to worker: NodeID) -> Endpoint? {
        if let door = doors[worker] { return door.listener.local }
        guard let members, doors.count < Self.doorLimit else { return nil }
        do {
            let listener = try StreamListener(
                on: loop,
                at: Endpoint(address: address, port: 0),
                streamLimit: Self.clientLimit
            )
            let memory = WorkerMemory(sizes)
            let way = WorkerWay(
                on: loop,
                to: worker,
                services,
                memory,
                members: members
            )
            try listener.assumeIsolated { listener in
                try listener.start { [self] client in
                    assumeIsolated { $0.enter(client, to: worker, way) }
                }
            }
            doors[worker] = Door(listener: listener, way: way)
            return listener.local
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
        to worker: NodeID,
        _ way: WorkerWay
    ) -> @Sendable (StreamEvent) -> Void {
        guard let ballot else {
            loop.execute { client.close() }
            return { _ in }
        }
        let visit = Visit(client, RelayTag(ballot: ballot, node: worker), way)
        way.find(under: ballot) { [self] manner in
            // The client is not in its listener's hands yet when this comes at once.
            loop.execute { [self] in assumeIsolated { $0.go(visit, manner) } }
        }
        return { [self] event in assumeIsolated { _ in visit.handle(event) } }
    }

    private func go(_ visit: Visit, _ manner: WorkerWay.Manner) {
        switch manner {
        case .isClosed(let reason): refuse(visit, because: reason)
        case .passes:
            visit.way.take { [self] result in
                assumeIsolated { $0.pass(visit, result) }
            }
        case .answers(let facts): answer(visit, facts)
        }
    }

    private func refuse(_ visit: Visit, because reason: String) {
        logRefusal(visit, reason)
        visit.client.close()
    }

    private nonisolated func logRefusal(_ visit: Visit, _ reason: String) {
        let worker = visit.tag.node.map { "\($0)" } ?? ""
        log(
            LogRecord(
                "relay.refused",
                .warning,
                "The way to a worker's rpc-server is closed: \(reason)",
                ["node": .text(worker), "reason": .text(reason)]
            )
        )
    }

    /// Everything passes as it is.
    private func pass(_ visit: Visit, _ result: Result<OpenedService, GatewayRefusal>) {
        switch result {
        case .failure(let refusal):
            visit.way.ended()
            refuse(visit, because: "\(refusal)")
        case .success(let opened):
            guard !visit.isOver, let client = visit.client.detach() else {
                relay.discard(opened.stream)
                visit.client.close()
                visit.way.ended()
                return
            }
            relay.join(
                client,
                first: visit.early,
                opened.stream,
                options: RelayOptions(
                    secondRecords: opened.records,
                    tag: visit.tag,
                    makeFilter: filter(
                        opened.features,
                        visit.tag,
                        ConnectionCounts(),
                        KnownBases()
                    )
                ),
                onEnd: { [loop] _ in loop.execute { visit.way.ended() } }
            )
        }
    }

    /// The worker is asked when it is needed.
    private func answer(_ visit: Visit, _ facts: RPCServerFacts) {
        guard !visit.isOver, let client = visit.client.detach() else {
            visit.client.close()
            return
        }
        let way = visit.way
        let taken = Taken()
        let counts = ConnectionCounts()
        let bases = KnownBases()
        nextConnection += 1
        let connection = nextConnection
        if let worker = visit.tag.node { connections[connection] = (worker, counts) }
        relay.join(
            client,
            first: visit.early,
            options: RelayOptions(
                tag: visit.tag,
                makeFilter: { RPCDoorFilter(way.memory, facts, counts, bases) }
            ),
            opening: { [self] completion in
                loop.execute { [self] in
                    taken.note()
                    way.take { [self] result in
                        switch result {
                        case .success(let opened):
                            completion(
                                .success(
                                    RelayOpened(
                                        stream: opened.stream,
                                        records: opened.records,
                                        makeFilter: filter(
                                            opened.features,
                                            visit.tag,
                                            counts,
                                            bases
                                        )
                                    )
                                )
                            )
                        case .failure(let refusal):
                            logRefusal(visit, "\(refusal)")
                            completion(.failure(.refused))
                        }
                    }
                }
            },
            onEnd: { [self] _ in
                loop.execute { [self] in
                    assumeIsolated { _ = $0.connections.removeValue(forKey: connection) }
                }
                guard taken.isNoted else { return }
                log(counts.record(visit.tag))
                loop.execute { way.ended() }
            }
        )
    }
}

extension WorkerDoors {
    /// What brings weights to the worker by name; nil where they travel as they are.
    private nonisolated func filter(
        _ features: ServiceFeatures,
        _ tag: RelayTag,
        _ counts: ConnectionCounts,
        _ bases: KnownBases
    ) -> (@Sendable () -> any RelayFilter)? {
        guard features.contains(.tensorsByName), let worker = tag.node else { return nil }
        return { [log] in
            NamedTensorsSender(features, counts, bases) { totals in
                log(LogRecord(totals, worker))
            }
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

extension ConnectionCounts {
    /// How little the way to the worker was used.
    fileprivate func record(_ tag: RelayTag) -> LogRecord {
        LogRecord(
            "relay.served",
            .debug,
            "A connection of llama-server to a worker has ended: \(answeredCount) requests were "
                + "answered here, \(askedCount) by the worker",
            [
                "node": .text(tag.node.map { "\($0)" } ?? ""),
                "answeredHere": .integer(Int64(clamping: answeredCount)),
                "answeredThere": .integer(Int64(clamping: askedCount)),
                "weightBytes": .integer(Int64(clamping: weightByteCount)),
            ]
        )
    }
}

/// Whether a connection has taken a stream of its way.
private final class Taken: Sendable {
    private let value = Atomic(false)

    func note() { value.store(true, ordering: .relaxed) }
    var isNoted: Bool { value.load(ordering: .relaxed) }
}

/// A client between a door and its worker, until it is known how it goes; used on the loop only.
private final class Visit: @unchecked Sendable {
    let client: SocketStream
    let tag: RelayTag
    let way: WorkerWay
    private(set) var early: [UInt8] = []
    private(set) var isOver = false

    init(_ client: SocketStream, _ tag: RelayTag, _ way: WorkerWay) {
        self.client = client
        self.tag = tag
        self.way = way
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
