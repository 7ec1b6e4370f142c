import Dispatch
import EventLoop
import Primitives
import Runtime
import SecureChannel
import Sockets
import Synchronization

/// Keeps the cluster's keys of a running agent: follows the file, hands a newer ring on to the
/// members, takes one from them, and tells everybody who seals when the keys change.
///
/// Devices that a ring puts out are told so, once, under the keys that they still have.
actor KeyKeeper {
    private nonisolated let loop: PollLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.executor }

    private nonisolated let file: ClusterKeyFile
    private nonisolated let cluster: String
    private nonisolated let own: NodeID
    private nonisolated let farewells: FarewellFile
    private nonisolated let queue = DispatchQueue(label: "caravan.keys")
    private let log: @Sendable (LogRecord) -> Void
    private var ring: KeyRing
    private var current: CurrentKeys
    private var users: [@Sendable (CurrentKeys) -> Void] = []
    private var streams: SealedStreams?
    private var members: (@Sendable () -> [(node: NodeID, endpoint: Endpoint)])?
    /// The ring's version that a member is known to have.
    private var known: [NodeID: UInt64] = [:]
    private var offers: Set<NodeID> = []
    /// Who was a member when a device was last removed.
    ///
    /// After a restart nobody is known to have been one: then the newest key alone lets in.
    private var veterans: [NodeID] = []
    /// The member that said that this device was removed.
    private(set) var removedBy: NodeID?

    private static let interval: Duration = .seconds(2)
    private static let offerLimit = 4
    private static let offerTimeLimit: Duration = .seconds(5)

    init(
        on loop: PollLoop,
        file: ClusterKeyFile,
        ring: KeyRing,
        cluster: String,
        own: NodeID,
        farewells: FarewellFile,
        log: @escaping @Sendable (LogRecord) -> Void
    ) {
        self.loop = loop
        self.file = file
        self.ring = ring
        self.cluster = cluster
        self.own = own
        self.farewells = farewells
        self.log = log
        removedBy = farewells.read()
        current = ring.keys(cluster: cluster, at: ClusterKeyFile.now)
    }

    /// Called on the loop, as is everything here.
    func begin(
        _ streams: SealedStreams,
        members: @escaping @Sendable () -> [(node: NodeID, endpoint: Endpoint)],
        users: [@Sendable (CurrentKeys) -> Void]
    ) {
        self.streams = streams
        self.members = members
        self.users = users
        tick()
    }

    private func tick() {
        queue.async { [self] in
            let found = try? file.read()
            loop.execute { [self] in
                assumeIsolated { keeper in
                    if let found { keeper.take(found, from: "its file") }
                    keeper.refresh()
                    keeper.offerAll()
                }
            }
        }
        loop.schedule(after: Self.interval) { [self] in assumeIsolated { $0.tick() } }
    }

    /// Keys come into use and go out of it as time passes.
    private func refresh() {
        let keys = ring.keys(cluster: cluster, at: ClusterKeyFile.now, veterans: veterans)
        guard keys != current else { return }
        current = keys
        for user in users { user(keys) }
    }

    @discardableResult
    private func take(_ new: KeyRing, from source: String) -> Bool {
        guard new.isNewer(than: ring) else { return false }
        // Now: they have no other keys than those that are about to go.
        let out = new.removed.filter { !ring.removed.contains($0) }
        if !out.isEmpty, let members {
            let present = members()
            veterans = present.map(\.node)
            sayFarewell(to: present.filter { out.contains($0.node) }, out, new.version)
        }
        ring = new
        if removedBy != nil, !new.removed.contains(own) {
            removedBy = nil
            queue.async { [farewells] in farewells.remove() }
        }
        log(
            LogRecord(
                "keys.changed",
                .notice,
                "The cluster's key changes to \(new.newest.key), told by \(source)",
                [
                    "version": .integer(Int64(clamping: new.version)),
                    "removed": .integer(Int64(new.removed.count)),
                ]
            )
        )
        refresh()
        return true
    }

    // MARK: - Handing on

    /// A ring that was never changed is what everybody joined with.
    private func offerAll() {
        guard ring.version > 1, let members else { return }
        for member in members() where offers.count < Self.offerLimit {
            guard (known[member.node] ?? 0) < ring.version, !offers.contains(member.node),
                !ring.removed.contains(member.node)
            else { continue }
            offer(to: member.node, at: member.endpoint)
        }
    }

    private func offer(to node: NodeID, at endpoint: Endpoint) {
        hand(ring.encoded(at: ClusterKeyFile.now), to: node, at: endpoint)
    }

    private func sayFarewell(
        to members: [(node: NodeID, endpoint: Endpoint)],
        _ out: [NodeID],
        _ version: UInt64
    ) {
        guard let farewell = Farewell(version: version, removed: out) else { return }
        for member in members { hand(farewell.encoded(), to: member.node, at: member.endpoint) }
    }

    private func hand(_ bytes: [UInt8], to node: NodeID, at endpoint: Endpoint) {
        guard let streams else { return }
        offers.insert(node)
        let offer = Offer(bytes: bytes)
        let stream = streams.connect(to: endpoint, for: .keys, timeout: .seconds(3)) {
            [self] event in assumeIsolated { $0.happened(event, offer, node) }
        }
        offer.stream.withLock { $0 = stream }
        loop.schedule(after: Self.offerTimeLimit) { [self] in
            assumeIsolated { _ = $0.offers.remove(node) }
            stream.close()
        }
    }

    private func happened(_ event: StreamEvent, _ offer: Offer, _ node: NodeID) {
        guard let stream = offer.stream.withLock({ $0 }) else { return }
        switch event {
        case .opened:
            // Never to another device that answers at the address.
            guard stream.assumeIsolated({ $0.node }) == node else {
                stream.close()
                return
            }
            stream.send(offer.bytes)
        case .received(let bytes):
            if bytes.count == 8 {
                known[node] = bytes.reduce(0 as UInt64) { $0 << 8 | UInt64($1) }
            }
            offers.remove(node)
            stream.close()
        case .closed: offers.remove(node)
        }
    }

    private final class Offer: Sendable {
        let bytes: [UInt8]
        let stream = Mutex<SealedStream?>(nil)

        init(bytes: [UInt8]) {
            self.bytes = bytes
        }
    }

    // MARK: - Taking

    /// Takes a stream on which a member hands a ring on; the answer is the version held here.
    nonisolated func accept(
        _ connection: any StreamConnection,
        from node: NodeID
    ) -> @Sendable (StreamEvent) -> Void {
        { [self] event in
            guard case .received(let bytes) = event else { return }
            assumeIsolated { $0.received(bytes, connection, from: node) }
        }
    }

    private func received(
        _ bytes: [UInt8],
        _ connection: any StreamConnection,
        from node: NodeID
    ) {
        if let farewell = Farewell(decoding: bytes) {
            heard(farewell, from: node)
            connection.close()
            return
        }
        do throws(SecureChannelError) {
            let offered = try KeyRing(decoding: bytes.span, at: ClusterKeyFile.now)
            if take(offered, from: "member \(node.short)") { save() }
            known[node] = max(known[node] ?? 0, offered.version)
            var answer: [UInt8] = []
            answer.append(bigEndian: ring.version)
            connection.send(answer)
        } catch {
            log(
                LogRecord(
                    "keys.refused",
                    .warning,
                    "A key ring of member \(node.short) makes no sense: \(error)",
                    ["node": .text("\(node)"), "reason": .text(error.reason)]
                )
            )
        }
        connection.close()
    }

    /// Every member may put another one out, so any of them is believed.
    private func heard(_ farewell: Farewell, from node: NodeID) {
        guard farewell.version > ring.version, farewell.removed.contains(own), removedBy == nil
        else { return }
        removedBy = node
        log(
            LogRecord(
                "keys.removed",
                .warning,
                "This device was removed from the cluster, as member \(node.short) says; how it "
                    + "comes back: caravan doctor",
                ["node": .text("\(node)"), "version": .integer(Int64(clamping: farewell.version))]
            )
        )
        queue.async { [self] in
            do {
                try farewells.write(node)
            } catch {
                let problem = "\(farewells.path) cannot be written: \(error)"
                log(LogRecord("keys.unsaved", .error, problem))
            }
        }
    }

    private func save() {
        let ring = ring
        queue.async { [self] in
            do {
                try file.write(ring)
            } catch {
                log(LogRecord("keys.unsaved", .error, "\(error)"))
            }
        }
    }
}
