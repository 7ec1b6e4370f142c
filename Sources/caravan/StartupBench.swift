import Agent
import FoundationEssentials
import GGUF
import Gateway
import Namespaces
import Primitives
import Telemetry

/// How long a small model takes to start, near and far; runs in a namespace of its own.
struct StartupBench: Sendable {
    let folder: String
    let engine: String
    let modelSize: ByteCount
    let roundTrip: Duration
    let rounds: Int
    let laterLaunches: Int
    let exposures: [String]

    private static let model = "bench.gguf"
    private static let phaseLimit: Duration = .seconds(60)

    /// Where the master is.
    private struct Place: Hashable {
        let exposure: String
        let isFar: Bool
    }

    /// Seconds of single launches.
    private struct Samples {
        var first: [Double] = []
        var later: [Double] = []

        var medians: StartupReport.Times {
            StartupReport.Times(
                first: BenchReport.median(first) ?? 0,
                later: BenchReport.median(later) ?? 0
            )
        }
    }

    func run() async throws -> StartupReport {
        try TinyModel.write(
            ModelShape(near: modelSize),
            seed: 1,
            to: "\(folder)/models/\(Self.model)"
        )
        var samples: [Place: Samples] = [:]
        for round in 1...rounds {
            for exposure in exposures {
                for isFar in [false, true] {
                    let place = Place(exposure: exposure, isFar: isFar)
                    let times = try await launches(place)
                    samples[place, default: Samples()].first.append(times[0])
                    samples[place, default: Samples()].later += times.dropFirst()
                    Output.writeError(
                        "round \(round) of \(rounds), \(exposure)\(isFar ? ", far" : ""): "
                            + times.map { "\(($0 * 100).rounded() / 100)" }.joined(separator: " ")
                            + " s"
                    )
                }
            }
        }
        let cases = exposures.compactMap { exposure -> StartupReport.Case? in
            guard let near = samples[Place(exposure: exposure, isFar: false)]?.medians,
                let far = samples[Place(exposure: exposure, isFar: true)]?.medians
            else { return nil }
            return StartupReport.Case(
                exposure: exposure,
                near: near,
                far: far,
                firstAdded: far.first - near.first,
                laterAdded: far.later - near.later
            )
        }
        return StartupReport(
            roundTripMilliseconds: roundTrip / .milliseconds(1),
            modelBytes: modelSize.bytes,
            cases: cases
        )
    }

    /// Seconds of the first launch of a new cluster, and of those after it.
    private func launches(_ place: Place) async throws -> [Double] {
        try await NamespaceNetwork.with(nodeCount: 3, hub: .own) { network in
            let line =
                place.isFar
                ? try await network.lengthen(cableOf: 0, roundTrip: roundTrip) : nil
            let cluster = DemoCluster(
                folder: "\(folder)/cluster",
                engine: engine,
                models: "\(folder)/models",
                memory: ByteCount(4 * modelSize.bytes + 1 << 30),
                arguments: [
                    "--exposure", place.exposure, "--no-discovery", "--http-open",
                ],
                on: network,
                isQuiet: true
            )
            let result: Result<[Double], any Error>
            do {
                result = .success(try await launches(cluster))
            } catch {
                result = .failure(error)
            }
            await cluster.stop()
            await line?.end()
            return try result.get()
        }
    }

    private func launches(_ cluster: DemoCluster) async throws -> [Double] {
        let master = cluster.agents[0]
        try await cluster.start()
        try await cluster.makeMaster(master)
        // Whom the master can reach is known a moment after it knows who is there.
        try await Task.sleep(for: .seconds(2))
        var times: [Double] = []
        for number in 0...laterLaunches {
            let model = try await cluster.launch(Self.model, through: master)
            let holders = Set(model.layers.map(\.node))
            guard holders.count == 2 else {
                throw CommandFailure("the model runs on \(holders.count) workers, not two")
            }
            times.append(try await seconds(ofLaunch: number, at: master))
            try await cluster.stopModel(through: master)
        }
        return times
    }

    /// From the first phase to the last, as the master's log has them.
    private func seconds(ofLaunch number: Int, at master: DemoCluster.Member) async throws -> Double
    {
        let tail = LogTail(
            directory: AgentConfiguration.logFolder(in: master.state),
            lineCount: 100_000
        )
        let deadline = ContinuousClock.now + Self.phaseLimit
        while ContinuousClock.now < deadline {
            var (began, ready): ([WallTime], [WallTime]) = ([], [])
            try await tail.run(follows: false) { line in
                guard line.stamped.record.id == "placement.phase" else { return }
                let phase = line.stamped.record.fields.first { $0.key == "phase" }?.value
                if phase == .text("startingWorkers") { began.append(line.stamped.time) }
                if phase == .text("ready") { ready.append(line.stamped.time) }
            }
            guard began.count == number + 1, ready.count <= number + 1 else {
                throw CommandFailure("a launch was begun anew: \(began.count) beginnings")
            }
            if ready.count == number + 1 {
                return Double(ready[number].nanoseconds - began[number].nanoseconds) / 1e9
            }
            try await Task.sleep(for: .milliseconds(100))
        }
        throw CommandFailure("the master's log does not say that the model is ready")
    }
}

extension DemoCluster {
    /// Waits for a master, and makes it this one.
    func makeMaster(_ agent: Member) async throws {
        let deadline = ContinuousClock.now + .seconds(30)
        while true {
            let status = try await waitForMaster()
            let name = status.members.first { $0.id == status.master }?.name
            if name == agent.name { return }
            guard ContinuousClock.now < deadline else {
                throw CommandFailure("\(agent.name) did not become master")
            }
            _ = try await client(agent).post(
                "/api/v1/transfer",
                json: Array(#"{"to":"\#(agent.name)"}"#.utf8)
            )
            try await Task.sleep(for: .milliseconds(300))
        }
    }

    /// Stops the model, and waits until all workers have said that they stopped.
    func stopModel(through agent: Member) async throws {
        let response = try await client(agent).post("/api/v1/stop", json: Array("{}".utf8))
        guard response.status < 300 else { throw CommandFailure(response.text) }
        try await Task.sleep(for: .seconds(2))
    }
}
