import LayerPlacement
import Primitives

// What a diagram says in words before it shows anything.
extension DiagramRun {
    var facts: DiagramFacts { DiagramFacts(self) }
}

struct DiagramFacts {
    private let run: DiagramRun

    init(_ run: DiagramRun) {
        self.run = run
    }

    private var scenario: Scenario { run.scenario }

    /// As the page's script reads it.
    var json: String {
        let liveness = scenario.liveness
        let converged = run.result.convergedAfter.map { "\(Self.number(liveness.at + $0))" }
        let fields = [
            ("title", JSONText.quoted(run.title)),
            ("nodes", "\(scenario.nodeCount)"),
            ("end", "\(Self.number(run.result.virtualTime))"),
            ("story", "[" + story.map(JSONText.quoted).joined(separator: ",") + "]"),
            ("violation", violation),
            (
                "liveness",
                "{\"at\":\(Self.number(liveness.at)),\"within\":\(Self.number(liveness.within))}"
            ),
            ("convergedAt", converged ?? "null"),
            ("promises", "[" + promises.joined(separator: ",") + "]"),
        ]
        return "{" + fields.map { "\"\($0.0)\":\($0.1)" }.joined(separator: ",") + "}"
    }

    private var violation: String {
        guard let violation = run.result.violation else { return "null" }
        let promise = Promise.named(violation.invariant)
        return "{\"invariant\":\(JSONText.quoted(violation.invariant)),"
            + "\"promise\":\(JSONText.quoted(promise.words(scenario))),"
            + "\"detail\":\(JSONText.quoted(violation.detail)),"
            + "\"t\":\(Self.number(violation.at))}"
    }

    private var promises: [String] {
        Promise.all(of: scenario, broken: run.result.violation?.invariant).map { promise in
            "{\"name\":\(JSONText.quoted(promise.name)),"
                + "\"text\":\(JSONText.quoted(promise.words(scenario)))}"
        }
    }

    // MARK: - The opening

    var story: [String] {
        [opening, faults, outcome].compactMap(\.self)
    }

    private var opening: String {
        let count = scenario.nodeCount
        let model = scenario.model.map { model in
            " At \(Self.words(model.launchAt)) somebody asks for the model \(model.wanted.name)."
        }
        return "\(count == 1 ? "One device runs" : "\(count) devices run") the real agent in a "
            + "simulated world, for \(Self.words(run.result.virtualTime)) of virtual time. The "
            + "scenario is “\(scenario.name)”; with the seed \(run.result.seed) it always comes "
            + "out like this." + (model ?? "")
    }

    private var faults: String? {
        guard !scenario.faults.isEmpty else {
            return "The scenario has no faults, apart from what the network always does."
        }
        let end = run.result.virtualTime
        let begun = scenario.faults.filter { $0.at <= end }.sorted { $0.at < $1.at }
        guard !begun.isEmpty else { return "The run ended before its first fault." }
        let limit = 4
        var text: String
        if begun.count > limit {
            text = "The scenario does \(begun.count) things; the last of them: "
        } else {
            text = "What the scenario does: "
        }
        text += begun.suffix(limit).map { words(for: $0) }.joined(separator: "; ")
        return text + "."
    }

    private func words(for scheduled: ScheduledFault) -> String {
        let caption = scheduled.fault.caption(nodeCount: scenario.nodeCount)
        guard let lasts = scheduled.lasts else {
            return "from \(Self.words(scheduled.at)) on, \(caption)"
        }
        return "from \(Self.words(scheduled.at)) to \(Self.words(scheduled.at + lasts)), \(caption)"
    }

    private var outcome: String? {
        guard let violation = run.result.violation else {
            let converged = run.result.convergedAfter.map { after in
                ": \(Self.words(after)) after the network was quiet, all was well"
            }
            return "Everything that was promised held" + (converged ?? "") + "."
        }
        return "At \(Self.words(violation.at)) a promise was broken, and the run stopped there."
    }

    // MARK: - Numbers

    private static func number(_ duration: Duration) -> Double {
        Double(duration.wholeNanoseconds) / 1e9
    }

    static func words(_ duration: Duration) -> String {
        let milliseconds = duration.wholeMilliseconds
        guard milliseconds >= 10_000 else {
            return milliseconds % 1000 == 0
                ? "\(milliseconds / 1000) s" : "\(Double(milliseconds) / 1000) s"
        }
        let tenths = (milliseconds + 50) / 100
        return tenths % 10 == 0 ? "\(tenths / 10) s" : "\(Double(tenths) / 10) s"
    }
}

/// A property of the system, for somebody who has not seen its design.
struct Promise {
    let name: String
    private let text: String

    /// What is always judged, whatever a scenario asks for.
    private static let safety = [
        Promise(
            name: "S1",
            text: "A ballot has one master only, and nobody votes for two in one term, not even "
                + "after a restart. Where a quorum decides, a term has one master, whose lease ends "
                + "before that of another begins."
        ),
        Promise(
            name: "S2",
            text: "Whoever has obeyed a newer master never goes back to obeying an older one."
        ),
        Promise(
            name: "S3",
            text: "No worker serves two masters: the llama-server of one never uses the "
                + "rpc-server that was started for another."
        ),
        Promise(
            name: "S4",
            text: "Only a node itself says that it lives on (raises its incarnation), and what "
                + "it said stays true after a restart."
        ),
        Promise(
            name: "S7",
            text: "No malformed, cut or repeated message stops a node from listening."
        ),
    ]
    private static let convergence = [
        Promise(
            name: "L1",
            text: "Once the network is quiet, all nodes that can reach each other soon obey one "
                + "and the same master, and keep it."
        ),
        Promise(name: "L2", text: "Once the network is quiet, nobody misses a node in reach."),
        Promise(
            name: "L4",
            text: "Once the network is quiet, nobody takes a node for present that is not in "
                + "reach."
        ),
    ]
    private static let others = [
        Promise(
            name: "S5",
            text: "What the cluster was asked to run is not forgotten while one node that knows "
                + "it lives."
        ),
        Promise(
            name: "S6",
            text: "Where a quorum decides, each quorum shares a voter with the one before it."
        ),
        Promise(
            name: "L3",
            text: "A master that has lost its quorum stops commanding when its lease ends."
        ),
        Promise(
            name: "L5",
            text: "Nothing is stuck for ever, whatever stays broken around a healthy core."
        ),
        Promise(
            name: "launch",
            text: "A launch ends: the model is ready, or it has failed and says why."
        ),
        Promise(
            name: "lease",
            text: "A master that most of the others have not obeyed for a while stops saying that "
                + "it is one, before another can be elected."
        ),
        Promise(
            name: "answer",
            text: "Whoever asks a node to hand mastership over or to leave hears how it ended."
        ),
        Promise(
            name: "quality",
            text: "The run keeps the bounds that its scenario sets: false deaths, the slowest "
                + "detection, time without a master, messages and bytes."
        ),
        Promise(
            name: "shadow",
            text: "The machines driven directly want exactly what the same machines within the "
                + "agents' actors want. If not, an actor decides something by itself."
        ),
        Promise(
            name: "escapedJob",
            text: "All work stays in the simulated loops, without which no run could be "
                + "repeated. This is a fault of the simulator or of how an agent is built."
        ),
    ]

    static func named(_ name: String) -> Promise {
        (safety + convergence + others).first { $0.name == name }
            ?? Promise(name: name, text: "This must hold.")
    }

    static func all(of scenario: Scenario, broken: String?) -> [Promise] {
        var promises = safety
        let demanded = scenario.expectations
        if demanded.contains(.convergence) || demanded.contains(.stability) {
            promises += convergence
        }
        if demanded.contains(.settled) || demanded.contains(.ready) {
            promises.append(named("launch"))
        }
        if let broken, !promises.contains(where: { $0.name == broken }) {
            promises.append(named(broken))
        }
        return promises
    }

    func words(_ scenario: Scenario) -> String {
        let liveness = scenario.liveness
        guard name.hasPrefix("L") || name == "launch" else { return text }
        return text + " Here: within \(DiagramFacts.words(liveness.within)) from "
            + "\(DiagramFacts.words(liveness.at)) on"
            + (liveness.core.map { ", among \(Fault.list($0, scenario.nodeCount))" } ?? "") + "."
    }
}
