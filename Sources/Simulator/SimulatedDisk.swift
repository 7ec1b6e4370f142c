import LayerPlacement
import LeaderElection
import Primitives
import Runtime

/// What survives a crash: the last record whose write was completed.
final class SimulatedDisk: @unchecked Sendable {
    var identities = SeededGenerator(seed: 0)
    private var generator: SeededGenerator
    private var record: DurableRecord?
    private var isDamaged = false
    private var crashCount = 0
    /// When it last refused to keep something; nil for never.
    private(set) var lastRefusal: Int64?
    /// How many faults keep it full.
    var fullCount = 0

    /// How long it takes until a record would survive a power cut, at most; drawn once a device,
    /// because flash in a phone is not like a server's.
    private let syncLimit: Duration
    private static let syncLimits: [Duration] = [
        .milliseconds(2), .milliseconds(10), .milliseconds(50), .milliseconds(300),
    ]

    init(generator: SeededGenerator) {
        self.generator = generator
        syncLimit = Self.syncLimits[self.generator.below(Self.syncLimits.count)]
    }

    /// The record of the last life; nil if there is none or it cannot be trusted.
    func read() -> DurableRecord? {
        isDamaged ? nil : record
    }

    /// Whether this device knows the voters of its cluster.
    var hasVoters: Bool { read()?.election.configuration != nil }

    /// Whether what the cluster wants would survive a crash.
    func keeps(_ model: WantedModel) -> Bool { read()?.wanted.model == model }

    func forget() {
        record = nil
        isDamaged = false
    }

    func freshIdentity() -> NodeID {
        NodeID(using: &identities)
    }

    func write(
        _ record: DurableRecord,
        of host: SimulatedHost,
        completion: @escaping (Bool) -> Void
    ) {
        let crashes = crashCount
        let isFull = fullCount > 0
        host.simulation.outside(
            after: generator.duration(in: .microseconds(500)...syncLimit),
            node: host.index
        ) { [self] in
            guard crashCount == crashes else { return }
            if isFull {
                lastRefusal = host.simulation.now
            } else {
                self.record = record
                host.simulation.quorum.stored(record.election, by: host, host.simulation)
            }
            completion(!isFull)
        }
    }

    /// Writes under way are lost.
    func crash(_ fault: DiskFault) {
        crashCount += 1
        switch fault {
        case .kept: break
        case .torn: isDamaged = true
        case .lost: record = nil
        }
    }
}
