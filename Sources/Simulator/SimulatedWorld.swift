import EventLoop
import GGUF
import LayerPlacement
import LeaderElection
import Primitives
import Runtime
import Wire

/// The world of one life of an agent.
final class SimulatedWorld: @unchecked Sendable {
    let host: SimulatedHost
    let loop: SimulatedLoop
    let simulation: Simulation

    init(host: SimulatedHost, loop: SimulatedLoop) {
        self.host = host
        self.loop = loop
        simulation = host.simulation
    }

    func world(seed: UInt64) -> World {
        World(
            loop: loop,
            datagrams: self,
            streams: self,
            store: self,
            children: self,
            models: self,
            observer: self,
            seed: seed,
            witness: host.shadow,
            facts: simulation.facts
        )
    }

    /// Something for the agent's loop, soon.
    func later(_ delay: Duration, _ action: @escaping () -> Void) {
        simulation.schedule(
            .action(loop, action),
            after: delay.wholeNanoseconds,
            node: host.index
        )
    }
}

extension SimulatedWorld: DatagramTransport {
    func send(_ bytes: Span<UInt8>, to destination: Endpoint) {
        simulation.statistics.sentCount += 1
        simulation.statistics.sentByteCount += bytes.count
        let target = simulation.index(of: destination.address)
        let obeyed = simulation.safety.sees(
            bytes,
            from: host,
            to: target.map { simulation.hosts[$0] },
            simulation
        )
        guard let target, destination.port == SimulatedHost.agentPort else { return }
        let packet = simulation.emptyPacket()
        packet.fill(from: host.index, to: target, bytes, obeyed: obeyed)
        switch simulation.network.fate(
            from: host.index,
            to: target,
            byteCount: bytes.count,
            at: simulation.now
        ) {
        case .lost:
            simulation.statistics.lostCount += 1
            simulation.traceSend(packet, isLost: true)
            simulation.discard(packet)
        case .arrives(let delay, let again, let isCorrupt):
            simulation.traceSend(packet, isLost: false)
            // Checksums let no changed byte pass; what is cut off is found by decoders alone.
            if isCorrupt { packet.cut(by: Int(delay) % (packet.bytes.count + 1)) }
            packet.isDouble = again != nil
            simulation.schedule(.datagram(packet), after: delay, node: target)
            if let again { simulation.schedule(.datagram(packet), after: again, node: target) }
        }
    }
}

extension SimulatedWorld: StreamTransport {
    func connect(
        to destination: Endpoint,
        timeout: Duration,
        onEvent: @escaping @Sendable (StreamEvent) -> Void
    ) -> any StreamConnection {
        SimulatedStream.connect(
            from: host,
            owner: .agent(loop),
            to: destination,
            timeout: timeout,
            onEvent: onEvent
        )
    }

    /// Nobody asks for a service in the simulation yet.
    func splice(
        _ connection: any StreamConnection,
        first: [UInt8],
        to local: Endpoint,
        under ballot: Ballot?,
        with features: ServiceFeatures
    ) {
        connection.close()
    }

    func endSplices(before ballot: Ballot) {}

    func endSplices(with member: NodeID) {}
}

extension SimulatedWorld: DurableStore {
    func save(_ record: DurableRecord, completion: @escaping @Sendable (Bool) -> Void) {
        disk.write(record, of: host) { [self] isKept in later(.zero) { completion(isKept) } }
    }

    private var disk: SimulatedDisk { host.disk }
}

extension SimulatedWorld: ModelSource {
    func readFacts(
        of model: WantedModel,
        completion: @escaping @Sendable (Result<ModelFacts, LaunchProblem>) -> Void
    ) {
        let result: Result<ModelFacts, LaunchProblem>
        if let held = simulation.scenario.model, held.wanted.fileName == model.fileName,
            held.holders.contains(host.index), let facts = SimulatedModel.facts
        {
            result = .success(facts)
        } else {
            result = .failure(LaunchProblem("The model \(model.name) is not on this device"))
        }
        later(.milliseconds(5)) { completion(result) }
    }
}

extension SimulatedWorld: CoreObserver {
    func log(_ record: LogRecord) {
        simulation.statistics.records[record.id, default: 0] += 1
        count(record)
        simulation.trace.mix(record.id)
        simulation.trace.line(
            .log,
            simulation.now,
            from: host.index,
            to: nil,
            "\(record.id): \(record.message)"
        )
        host.hasNews = true
    }

    var readsWords: Bool { simulation.trace.isWriting }

    private func count(_ record: LogRecord) {
        switch record.id {
        case "election.deposed":
            guard
                case .text(let reason)? = record.fields.first(where: { $0.key == "reason" })?.value
            else { return }
            simulation.statistics.records["\(record.id).\(reason)", default: 0] += 1
        case "membership.died":
            guard case .text(let text)? = record.fields.first(where: { $0.key == "node" })?.value,
                let accused = simulation.hosts.first(where: { "\($0.identity)" == text })
            else { return }
            let network = simulation.network
            let isReachable =
                accused.core != nil && !accused.isStalled
                && network.isOpen(from: host.index, to: accused.index)
                && network.isOpen(from: accused.index, to: host.index)
            simulation.quality.buries(
                accused.index,
                isReachable: isReachable,
                at: simulation.now
            )
        default: break
        }
    }

    func refused(_ reason: String, detail: String) {
        simulation.statistics.records["refused." + reason, default: 0] += 1
        simulation.trace.mix(reason)
    }

    func changed() {
        host.hasNews = true
    }

    func goodbyeSpread() {
        host.goodbyeSpread()
    }
}

/// The model that simulated nodes hold.
enum SimulatedModel {
    static let facts: ModelFacts? = try? readFacts()

    private static func readFacts() throws -> ModelFacts {
        struct HeaderDone: Error {}
        let model = try RandomModel(shape: .tiny)
        var bytes: [UInt8] = []
        do {
            try model.write { span throws(HeaderDone) in
                bytes += [UInt8](copying: span)
                if bytes.count > 1 << 20 { throw HeaderDone() }
            }
        } catch {
            // The header is what is wanted, and it comes first.
        }
        let file = try GGUFReader().readHeader(byteCount: model.byteCount) {
            offset,
            count throws(GGUFError) in
            let start = min(Int(offset), bytes.count)
            return [UInt8](bytes[start..<min(start + count, bytes.count)])
        }
        return try ModelFacts(file)
    }
}
