import Primitives
package import Simulator

/// What of a scenario is replayed, and when.
package struct ReplayPlan: Sendable {
    /// How a scenario is made to take less of people's time.
    package struct Options: Equatable, Sendable {
        /// Only these faults, counted from 1 as in the file; nil for all.
        package var faults: ClosedRange<Int>?
        /// No fault lasts longer.
        package var longest: Duration?
        /// Quiet times in which all is well are passed over.
        package var isQuick = false
        /// Who is to be master when the first fault begins; nil for whoever is elected.
        package var master: Int?

        package init() {}
    }

    package enum Step: Equatable, Sendable {
        case begin(Int)
        case end(Int)
    }

    package struct TimedStep: Equatable, Sendable {
        package var at: Duration
        package var step: Step
    }

    /// The scenario as it is replayed, which can be simulated too.
    package let scenario: Scenario
    package let options: Options
    /// In the order in which they are due; of one moment, what ends comes first.
    package let steps: [TimedStep]
    /// What of the scenario is left out because real networks do not obey.
    package let notes: [String]

    /// - Parameter limit: how many nodes there may be.
    package init(_ original: Scenario, _ options: Options, nodeLimit limit: Int) throws(ReplayError)
    {
        guard original.nodeCount <= limit else {
            throw ReplayError(
                "\(original.nodeCount) nodes are too many for one machine: at most \(limit)"
            )
        }
        let scenario = try Self.shortened(original, options)
        try Self.refuseUnplayable(scenario)
        if let master = options.master {
            guard master < scenario.nodeCount else {
                throw ReplayError(
                    "there is no \(Scenario.name(of: master)): the scenario has "
                        + "\(scenario.nodeCount) nodes"
                )
            }
            guard !scenario.lateNodes.contains(master) else {
                throw ReplayError(
                    "\(Scenario.name(of: master)) is switched on later and cannot be the first "
                        + "master"
                )
            }
        }
        self.scenario = scenario
        self.options = options
        steps = Self.steps(scenario)
        notes = Self.notes(scenario)
    }

    // MARK: - Shortening

    private static func shortened(
        _ original: Scenario,
        _ options: Options
    ) throws(ReplayError) -> Scenario {
        var scenario = original
        if let range = options.faults {
            guard range.lowerBound >= 1, range.upperBound <= scenario.faults.count else {
                throw ReplayError(
                    "faults \(range.lowerBound)..\(range.upperBound) were asked for, and the "
                        + "scenario has \(scenario.faults.count)"
                )
            }
            scenario.faults = Array(
                scenario.faults[(range.lowerBound - 1)...(range.upperBound - 1)]
            )
        }
        if let longest = options.longest {
            for index in scenario.faults.indices {
                scenario.faults[index].lasts = scenario.faults[index].lasts.map {
                    min($0, longest)
                }
            }
        }
        guard scenario.faults != original.faults else { return scenario }
        // As in a file that says nothing of it.
        let ends = scenario.faults.map { $0.at + ($0.lasts ?? .zero) }
        scenario.liveness.at = ends.max() ?? scenario.liveness.at
        scenario.duration = scenario.liveness.at + scenario.liveness.within + .seconds(5)
        return scenario
    }

    private static func steps(_ scenario: Scenario) -> [TimedStep] {
        var steps: [TimedStep] = []
        for (number, scheduled) in scenario.faults.enumerated() {
            steps.append(TimedStep(at: scheduled.at, step: .begin(number)))
            guard let lasts = scheduled.lasts, scheduled.fault.hasEnd else { continue }
            steps.append(TimedStep(at: scheduled.at + lasts, step: .end(number)))
        }
        // Stable, so that a fault of no length begins before it ends.
        return steps.enumerated().sorted { first, second in
            (first.element.at, first.offset) < (second.element.at, second.offset)
        }.map(\.element)
    }

    // MARK: - What real sockets can do

    private static func refuseUnplayable(_ scenario: Scenario) throws(ReplayError) {
        for (number, scheduled) in scenario.faults.enumerated() {
            guard let reason = scheduled.fault.unplayable else { continue }
            throw ReplayError(
                "fault \(number + 1) cannot be replayed on real sockets: \(reason); "
                    + "`caravan simulate run` does it"
            )
        }
    }

    private static func notes(_ scenario: Scenario) -> [String] {
        var notes = ["packets take as long as they do on this machine, not as the scenario says"]
        let network = scenario.network
        if network.duplicate > 0 || network.reorder > 0 || network.corrupt > 0 {
            notes.append("no packets are doubled, reordered or cut short")
        }
        if scenario.model != nil { notes.append("no model is launched") }
        return notes
    }
}

extension Scenario {
    /// Who is switched on by a fault, and not at the beginning.
    var lateNodes: Set<Int> {
        var nodes: Set<Int> = []
        for scheduled in faults {
            if case .join(let late) = scheduled.fault { nodes.formUnion(late) }
        }
        return nodes
    }
}

extension Fault {
    /// Whether its end undoes something.
    fileprivate var hasEnd: Bool {
        switch self {
        case .reset, .join: false
        // What is refused (`unplayable`) does not come here.
        default: true
        }
    }

    /// Why real agents and the kernel cannot be made to do it; nil if they can.
    fileprivate var unplayable: String? {
        switch self {
        case .partition, .oneWay, .bridge, .isolation, .crash, .stall, .reset, .join: nil
        case .link(_, _, let change): change.unplayable
        case .drift, .jump: "clocks of processes cannot be set one by one"
        case .jam, .slow: "packets cannot be held up"
        case .disk: "disks cannot be filled one by one"
        default: "real agents are not asked for that yet"
        }
    }
}

extension LinkChange {
    fileprivate var unplayable: String? {
        if latency != nil { return "packets cannot be held up" }
        if duplicate != nil || reorder != nil || corrupt != nil {
            return "packets cannot be doubled, reordered or cut short"
        }
        return nil
    }
}
