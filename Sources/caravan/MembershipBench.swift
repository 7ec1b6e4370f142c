import Agent
import FoundationEssentials
import Primitives
import Processes
import SecureChannel
import Synchronization

struct BenchPlan: Sendable {
    var agentCount: Int
    var rounds: Int
    var quiet: Duration
    var vanishes: Bool
    /// Whether the agents get network namespaces of their own, which needs root.
    var usesNamespaces: Bool
}

/// What was measured of one kind of agent.
struct BenchResult: Codable, Sendable {
    var kind: String
    var formingSeconds: Double
    /// For each death: until the first and until the last of the others knew.
    var firstSeconds: [Double] = []
    var lastSeconds: [Double] = []
    /// For each restart: until all others had it back.
    var rejoinSeconds: [Double] = []
    /// Deaths that somebody did not notice in time.
    var missed = 0
    /// "a1 took a2 for dead", of agents that lived.
    var falseAccusations: [String] = []
    var bytesPerAgentAndSecond: Double?
    var packetsPerAgentAndSecond: Double?
    /// Shares of a core and KiB, means over all agents.
    var cpuShare: Double?
    var anonymousKiB: Double?
}

struct StallResult: Codable, Sendable {
    var agents: Int
    var stalled: Int
    var cycles: Int
    var healthyAccusedByHealthy: [String]
    var healthyAccusedByStalled: [String]
    var stalledAccusedCount: Int
}

/// Collected on several threads.
final class Collected<Element: Sendable>: Sendable {
    private let elements = Mutex<[Element]>([])

    var all: [Element] { elements.withLock { $0 } }

    func append(_ element: Element) { elements.withLock { $0.append(element) } }
}

/// Starts agents of one kind, ends some of them, and times what the others say.
final class MembershipBench: Sendable {
    private struct Said {
        let at: ContinuousClock.Instant
        let by: Int
        let word: BenchAgentKind.Word
    }

    private struct State {
        var processes: [Int: ChildProcess] = [:]
        var pids: [Int: Int32] = [:]
        var ended: Set<Int> = []
        var said: [Said] = []
        var lastLines: [Int: String] = [:]
    }

    private let kind: BenchAgentKind
    private let plan: BenchPlan
    private let network: BenchNetwork
    private let folder: String
    private let cluster: String
    private let state = Mutex(State())
    private let clock = ContinuousClock()

    private static let formingLimit: Duration = .seconds(60)
    private static let detectionLimit: Duration = .seconds(60)
    /// Between rounds, so that what one leaves behind does not disturb the next.
    private static let pause: Duration = .seconds(3)

    init(kind: BenchAgentKind, plan: BenchPlan) {
        self.kind = kind
        self.plan = plan
        let number = ProcessInfo.processInfo.processIdentifier
        cluster = "bench-\(number)"
        folder = "\(FileManager.default.temporaryDirectory.path)/caravan-bench-\(number)"
        let shape: BenchNetwork.Shape =
            plan.vanishes ? .each : plan.usesNamespaces ? .shared : .loopback
        network = BenchNetwork(
            shape: shape,
            name: "cvb\(number)\(kind.name.first.map(String.init) ?? "")",
            agentCount: plan.agentCount
        )
    }

    func run() async throws -> BenchResult {
        try await inside {
            var result = BenchResult(kind: self.kind.name, formingSeconds: try await self.form())
            try await self.measureQuiet(&result)
            for round in 0..<self.plan.rounds { try await self.measureRound(round, &result) }
            return result
        }
    }

    func runStall(stalled: Int) async throws -> StallResult {
        try await inside { try await self.stall(stalled) }
    }

    private func inside<Result: Sendable>(
        _ work: @escaping @Sendable () async throws -> Result
    ) async throws -> Result {
        try? FileManager.default.removeItem(atPath: folder)
        try FileManager.default.createDirectory(
            atPath: folder + "/models",
            withIntermediateDirectories: true
        )
        let outcome: Swift.Result<Result, any Error>
        do {
            try shareKey()
            try await network.make()
            outcome = .success(try await work())
        } catch {
            outcome = .failure(error)
        }
        // Not cancellable: whoever pressed Ctrl-C wants nothing left behind.
        await Task.detached { await self.tidyUp() }.value
        return try outcome.get()
    }

    /// What `caravan init` and `caravan join` leave on devices.
    private func shareKey() throws {
        guard case .caravan(isOpen: false) = kind else { return }
        let ring = KeyRing(.random())
        for index in 0..<plan.agentCount {
            let folder = kind.stateFolder(of: name(index), in: folder)
            try ClusterKeyFile(stateFolder: folder).write(ring)
        }
    }

    private func tidyUp() async {
        for process in state.withLock({ Array($0.processes.values) }) {
            process.signal(.resume)
            process.signal(.kill)
        }
        for _ in 0..<100 where state.withLock({ $0.ended.count < $0.processes.count }) {
            try? await Task.sleep(for: .milliseconds(50))
        }
        await network.remove()
        try? FileManager.default.removeItem(atPath: folder)
    }

    // MARK: - Agents

    private func name(_ index: Int) -> String { "m\(index)" }

    private func start(_ index: Int) {
        let seed = index == 0 ? 1 : 0
        let isFirst = index == 0 && !state.withLock { $0.processes.keys.contains(0) }
        let command = kind.command(
            name(index),
            at: network.address(of: index),
            seed: isFirst ? nil : network.address(of: seed),
            folder: folder,
            cluster: cluster
        )
        let process = ChildProcess.start(network.inside(command, of: index)) { [self] event in
            heard(event, of: index)
        }
        state.withLock { state in
            state.processes[index] = process
            state.ended.remove(index)
        }
    }

    private func heard(_ event: ChildEvent, of index: Int) {
        let now = clock.now
        switch event {
        case .started(let pid): state.withLock { $0.pids[index] = pid }
        case .line(let line, _):
            let word = kind.word(in: line)
            state.withLock { state in
                state.lastLines[index] = line
                if let word { state.said.append(Said(at: now, by: index, word: word)) }
            }
        case .exited: state.withLock { _ = $0.ended.insert(index) }
        }
    }

    /// Starts all, and waits until each has met every other.
    private func form() async throws -> Double {
        let start = clock.now
        for index in 0..<plan.agentCount {
            self.start(index)
            // The first one is there when the others ask for it.
            if index == 0 { try await Task.sleep(for: .milliseconds(500)) }
        }
        let time = try await wait(Self.formingLimit) { state in
            let met = state.said.filter { if case .joined = $0.word { true } else { false } }
            return (0..<self.plan.agentCount).allSatisfy { index in
                let names = Set(
                    met.filter { $0.by == index }.compactMap { said -> String? in
                        guard case .joined(let name) = said.word, name != self.name(index) else {
                            return nil
                        }
                        return name
                    }
                )
                return names.count >= self.plan.agentCount - 1
            }
        }
        guard time != nil else {
            let lines = state.withLock { $0.lastLines }.sorted { $0.key < $1.key }
            throw CommandFailure(
                "the \(kind.name) agents did not find each other within \(Self.formingLimit); "
                    + "their last words: "
                    + lines.prefix(3).map { "\(name($0.key)): \($0.value)" }.joined(separator: "; ")
            )
        }
        return (clock.now - start).inSeconds
    }

    /// Waits until the condition holds; nil if it never does.
    private func wait(
        _ limit: Duration,
        until isDone: (State) -> Bool
    ) async throws -> Duration? {
        let start = clock.now
        while clock.now - start < limit {
            if state.withLock({ isDone($0) }) { return clock.now - start }
            try await Task.sleep(for: .milliseconds(20))
        }
        return nil
    }

    // MARK: - Measuring

    private func measureQuiet(_ result: inout BenchResult) async throws {
        guard plan.quiet > .zero else { return }
        // What forming leaves behind, elections and first syncs, is not what is asked for.
        try await Task.sleep(for: .seconds(10))
        let before = sample()
        let start = clock.now
        try await Task.sleep(for: plan.quiet)
        let after = sample()
        let seconds = (clock.now - start).inSeconds
        let count = Double(plan.agentCount)
        result.cpuShare = (after.cpu - before.cpu) / seconds / count
        result.anonymousKiB = after.anonymousKiB / count
        if network.shape != .loopback {
            result.bytesPerAgentAndSecond = Double(after.bytes - before.bytes) / seconds / count
            result.packetsPerAgentAndSecond =
                Double(after.packets - before.packets) / seconds / count
        }
    }

    private struct Sample {
        var cpu = 0.0
        var anonymousKiB = 0.0
        var bytes = 0
        var packets = 0
    }

    private func sample() -> Sample {
        let pids = state.withLock { $0.pids }
        var sample = Sample()
        for (index, pid) in pids {
            sample.cpu += ProcessTools.cpuSeconds(of: pid) ?? 0
            sample.anonymousKiB += Double(ProcessTools.anonymousKiB(of: pid) ?? 0)
            // One namespace for all is counted once.
            guard network.shape == .each || index == 0 else { continue }
            let traffic = ProcessTools.sentTraffic(of: pid)
            sample.bytes += traffic?.bytes ?? 0
            sample.packets += traffic?.packets ?? 0
        }
        return sample
    }

    private func measureRound(_ round: Int, _ result: inout BenchResult) async throws {
        let victim = (round + 1) % plan.agentCount
        let others = (0..<plan.agentCount).filter { $0 != victim }
        state.withLock { $0.said = [] }
        let killed = clock.now
        if plan.vanishes {
            try await network.setCable(of: victim, isPlugged: false)
        } else {
            state.withLock { $0.processes[victim] }?.signal(.kill)
        }
        let death = BenchAgentKind.Word.died(name(victim))
        _ = try await wait(Self.detectionLimit) { state in
            others.allSatisfy { other in
                state.said.contains { $0.by == other && $0.word == death }
            }
        }
        note(victim, others, killed, &result)
        try await Task.sleep(for: Self.pause)
        state.withLock { $0.said = [] }
        let back = clock.now
        if plan.vanishes {
            try await network.setCable(of: victim, isPlugged: true)
        } else {
            start(victim)
        }
        let join = BenchAgentKind.Word.joined(name(victim))
        let time = try await wait(Self.detectionLimit) { state in
            others.allSatisfy { other in
                state.said.contains { $0.by == other && $0.word == join }
            }
        }
        if time != nil { result.rejoinSeconds.append((clock.now - back).inSeconds) }
        try await Task.sleep(for: Self.pause * 2)
        Output.writeErrorPiece(".")
    }

    private func note(
        _ victim: Int,
        _ others: [Int],
        _ killed: ContinuousClock.Instant,
        _ result: inout BenchResult
    ) {
        let said = state.withLock { $0.said }
        let times = others.compactMap { other in
            said.first { $0.by == other && $0.word == .died(name(victim)) }.map {
                ($0.at - killed).inSeconds
            }
        }
        result.missed += others.count - times.count
        if let first = times.min() { result.firstSeconds.append(first) }
        if let last = times.max(), times.count == others.count { result.lastSeconds.append(last) }
        for word in said where word.by != victim {
            guard case .died(let accused) = word.word, accused != name(victim) else { continue }
            result.falseAccusations.append("\(name(word.by)) took \(accused) for dead")
        }
    }

    private func stall(_ count: Int) async throws -> StallResult {
        _ = try await form()
        try await Task.sleep(for: .seconds(10))
        state.withLock { $0.said = [] }
        let stalled = (0..<count).map { $0 * (plan.agentCount / count) }
        let processes = state.withLock { state in stalled.compactMap { state.processes[$0] } }
        let start = clock.now
        var cycles = 0
        while clock.now - start < .seconds(60) {
            for process in processes { process.signal(.suspend) }
            try await Task.sleep(for: .seconds(16))
            for process in processes { process.signal(.resume) }
            try await Task.sleep(for: .milliseconds(250))
            cycles += 1
        }
        try await Task.sleep(for: .seconds(15))
        var result = StallResult(
            agents: plan.agentCount,
            stalled: count,
            cycles: cycles,
            healthyAccusedByHealthy: [],
            healthyAccusedByStalled: [],
            stalledAccusedCount: 0
        )
        for word in state.withLock({ $0.said }) {
            guard case .died(let accused) = word.word else { continue }
            let words = "\(name(word.by)) took \(accused) for dead"
            if stalled.map(name).contains(accused) {
                result.stalledAccusedCount += 1
            } else if stalled.contains(word.by) {
                result.healthyAccusedByStalled.append(words)
            } else {
                result.healthyAccusedByHealthy.append(words)
            }
        }
        return result
    }
}
