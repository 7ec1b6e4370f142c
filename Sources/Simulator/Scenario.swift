package import LayerPlacement
package import Primitives

/// A simulated run, whole: how many nodes, what network, what goes wrong when, and what must hold.
///
/// Nodes are numbered from 0 here and named `n1`, `n2`, … in files.
package struct Scenario: Equatable, Sendable {
    package static let nodeLimit = 1000

    package var name: String
    /// What it shows, for people.
    package var description: String?
    package var nodeCount: Int
    /// The seed of a run for which none is asked.
    package var seed: UInt64 = 1
    package var duration: Duration
    package var network = LinkSettings()
    /// All nodes start within this time.
    package var startWithin: Duration = .milliseconds(500)
    /// Whom every node asks for the others; stands for beacons too.
    package var seeds: [Int] = [0]
    /// Under `quorum` somebody founds the cluster on the first of the seeds, once.
    package var policy = ElectionPolicy.available
    package var model: ScenarioModel?
    package var faults: [ScheduledFault] = []
    package var swarm: Swarm?
    package var liveness: Liveness
    package var expectations: [Expectation] = [.convergence]
    package var bounds: QualityBounds?

    package static func name(of node: Int) -> String { "n\(node + 1)" }

    /// The node of a name; nil if none has it in any scenario.
    package static func node(named text: String) -> Int? {
        guard let number = UInt16(digits: text.dropFirst()), (1...nodeLimit).contains(Int(number)),
            text == name(of: Int(number) - 1)
        else { return nil }
        return Int(number) - 1
    }
}

/// How datagrams and stream segments fare from one node to another.
package struct LinkSettings: Equatable, Sendable {
    package var latency = Latency()
    /// Shares of all packets, 0…1.
    package var loss = 0.0
    package var duplicate = 0.0
    /// Which share is held back for several times the usual latency.
    package var reorder = 0.0
    /// Which share of datagrams arrives cut short.
    package var corrupt = 0.0
    /// Bytes a second; nil for as many as anybody sends.
    package var capacity: Int?

    package init() {}

    package struct Latency: Equatable, Sendable {
        package var minimum: Duration = .milliseconds(1)
        package var mean: Duration = .milliseconds(5)
        package var distribution = Distribution.exponential
    }

    package enum Distribution: String, Sendable, CaseIterable {
        case exponential, uniform, constant
    }
}

/// A model that somebody launches.
package struct ScenarioModel: Equatable, Sendable {
    package var wanted: WantedModel
    /// Who has the file.
    package var holders: [Int]
    package var launchAt: Duration = .seconds(5)
    /// How long llama-server takes to load it.
    package var loadTime: Duration = .seconds(3)
    /// How often somebody asks something that takes a second; nil for never.
    package var requestEvery: Duration?
}

/// From `at` on the network is quiet, and within `within` everything must be well.
package struct Liveness: Equatable, Sendable {
    package static let defaultWithin: Duration = .seconds(30)

    package var at: Duration
    package var within: Duration = defaultWithin
    /// How long launches may take instead; nil for `within`.
    package var launchWithin: Duration?
    /// How long all must stay well, after which the run ends; nil for as long as it lasts.
    package var hold: Duration?
    /// The nodes of which it is demanded while the others may stay faulty for ever; nil for all.
    package var core: [Int]?

    var launchLimit: Duration { launchWithin ?? within }
    /// When all has been judged.
    var end: Duration { at + max(within, launchLimit) }
}

/// What a run is judged by besides the safety properties, which always are.
package enum Expectation: String, Sendable, CaseIterable {
    /// Within the liveness bound: on every side one master, obeyed by all; views equal the side
    /// (L1, L2, L4).
    case convergence
    /// From convergence to the end nobody else becomes master (L1).
    case stability
    /// A launch ends ready or with a stated reason.
    case settled
    /// A launch ends ready.
    case ready

    var isAboutModels: Bool { self == .settled || self == .ready }
}

package struct ScheduledFault: Equatable, Sendable {
    package var at: Duration
    /// Nil for permanent.
    package var lasts: Duration?
    package var fault: Fault
}

package enum Fault: Equatable, Sendable {
    /// Packets pass only within a side.
    case partition([[Int]])
    case oneWay(from: [Int], to: [Int])
    /// Two sides that only see the node between them.
    case bridge([[Int]], over: Int)
    case crash([Int], disk: DiskFault, power: Bool)
    case stall([Int])
    case drift([Int], rate: Double)
    case link(from: [Int], to: [Int], LinkChange)
    case rpcServer([Int], RPCServerFault)
    /// No two of the nodes hear each other, as behind an access point that isolates its clients.
    case isolation([Int])
    /// Packets queue until the end, and then come all at once.
    case jam(from: [Int], to: [Int])
    /// What the nodes send takes so many times as long.
    case slow([Int], factor: Double)
    /// Something between the nodes resets the streams that are open between them, once.
    case reset(from: [Int], to: [Int])
    /// The nodes' clocks jump forward, once, as after a suspend.
    case jump([Int], by: Duration)
    case disk([Int], DiskTrouble)
    /// The nodes are switched on now, and not at the beginning.
    case join([Int])
    case llamaServer([Int], LlamaServerFault)
    /// Somebody asks the master to hand over to the node, once.
    case transfer(to: Int)
    /// Somebody asks the nodes to leave; they start again at the end.
    case leave([Int])
    /// The nodes are asked to take no work while it lasts.
    case drain([Int])
}

/// What a crash does to a disk.
package enum DiskFault: String, Sendable, CaseIterable {
    /// What was synced is there.
    case kept
    /// The record cannot be trusted: the node takes a new identity.
    case torn
    /// Nothing is there any more.
    case lost
}

/// What a disk does while a fault lasts.
package enum DiskTrouble: String, Sendable, CaseIterable {
    /// Nothing can be saved, and the agent is told so.
    case full
}

package enum LlamaServerFault: String, Sendable, CaseIterable {
    /// The process aborts, once, whatever it is doing.
    case abort
    /// It says nothing while the fault lasts, over HTTP neither.
    case hang
    /// It does not finish loading while the fault lasts.
    case neverReady
}

package enum RPCServerFault: String, Sendable, CaseIterable {
    /// The process ends, once.
    case die
    /// It says nothing while the fault lasts.
    case hang
    /// It has no memory for a model while the fault lasts.
    case refuse
    /// Servers that answer speak another version while the fault lasts.
    case otherVersion
}

/// What a fault changes of a link; nil is left as it is.
package struct LinkChange: Equatable, Sendable {
    package var latency: LinkSettings.Latency?
    package var loss: Double?
    package var duplicate: Double?
    package var reorder: Double?
    package var corrupt: Double?
    package var capacity: Int?
}

/// Faults that are drawn from the seed: for each kind, between so and so many a second.
package struct Swarm: Equatable, Sendable {
    package enum Kind: String, Sendable, CaseIterable {
        case partition, oneWay, bridge, crash, power, stall, loss, rpcServer
        // New ones come last: what a seed draws for the others stays.
        case isolation, jam, reset, slow, jump, diskFull, llamaServer
        case transfer, leave, drain
    }

    /// How many faults of a kind there are a second, at least and at most; in `Kind`'s order.
    package var rates: [(kind: Kind, range: ClosedRange<Double>)]
    /// How long a fault lasts.
    package var lasts: ClosedRange<Duration> = .seconds(1) ... .seconds(20)

    package static func == (left: Self, right: Self) -> Bool {
        left.lasts == right.lasts
            && left.rates.elementsEqual(right.rates) { $0.kind == $1.kind && $0.range == $1.range }
    }
}
