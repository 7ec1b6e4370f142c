import Foundation
import Processes
import Testing

extension ClusterTests {
    /// Scenarios of Simulations/ with real agents on real sockets, as `caravan simulate replay`
    /// plays them: shortened, and four at a time, each in namespaces of its own.
    @Suite(.needsNamespaces) struct Replays {
        struct Play {
            let scenario: String
            let options: [String]
            /// Whether the first fault must unseat the first master: then the fault was one.
            var unseats = false
            /// Whether there are never two masters, and all sides come to be of one mind.
            var isQuorum = false
        }

        private static let oneFault = ["--faults", "1..1", "--longest", "15s", "--master", "n1"]

        static let links = [
            Play(
                scenario: "even-split-4",
                options: ["--longest", "15s", "--master", "n1"],
                unseats: true
            ),
            Play(scenario: "lone-master", options: oneFault, unseats: true),
            Play(scenario: "one-way-to", options: oneFault, unseats: true),
            Play(scenario: "one-way-from", options: oneFault, unseats: true),
        ]

        static let weather = [
            Play(scenario: "flapping-link", options: ["--faults", "1..8", "--master", "n1"]),
            Play(scenario: "loss-30", options: ["--longest", "20s"]),
            Play(scenario: "isolation", options: ["--longest", "15s"]),
            Play(scenario: "bridge", options: ["--longest", "15s"]),
        ]

        static let processes = [
            Play(
                scenario: "stalled-master",
                options: ["--faults", "1..2", "--master", "n1"],
                unseats: true
            ),
            Play(
                scenario: "dying-master",
                options: ["--faults", "1..2", "--longest", "8s", "--master", "n1"]
            ),
            Play(scenario: "power-cut", options: ["--longest", "6s"]),
            Play(scenario: "stream-reset", options: ["--longest", "25s"]),
        ]

        static let quorum = [
            Play(
                scenario: "quorum-even-split",
                options: ["--longest", "12s", "--master", "n1"],
                isQuorum: true
            ),
            Play(scenario: "quorum-lone-master", options: oneFault, unseats: true, isQuorum: true),
        ]

        @Test func `voters: what the simulator promises holds on real sockets`() async throws {
            try await play(Self.quorum)
        }

        @Test func `links that fail: what the simulator promises holds on real sockets`()
            async throws
        {
            try await play(Self.links)
        }

        @Test func `bad weather: what the simulator promises holds on real sockets`() async throws {
            try await play(Self.weather)
        }

        @Test func `processes that fail: what the simulator promises holds on real sockets`()
            async throws
        {
            try await play(Self.processes)
        }

        @Test func `a scenario that real sockets cannot have is refused with the reason`()
            async throws
        {
            let output = try await Built.run(["simulate", "replay", Self.path("jam")])
            #expect(output.exit == .exited(code: 2))
            #expect(output.standardError.contains("fault 1 cannot be replayed on real sockets"))
        }

        // MARK: - Playing

        private struct Report: Decodable {
            struct Phase: Decodable {
                var caption: String
                var begins: Bool
                var fault: Int?
                var sides: [Side]
                var stepDowns: [StepDown]
            }
            struct Side: Decodable {
                var nodes: [String]
                var master: String?
                var wellAfter: Double?
            }
            struct StepDown: Decodable {
                var node: String
                var after: Double
            }

            var held: Bool
            var masters: Int
            var phases: [Phase]
        }

        private static func path(_ scenario: String) -> String {
            let package = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 }
            return "\(package)/Simulations/\(scenario).sim.json"
        }

        private func play(_ plays: [Play]) async throws {
            try await withThrowingTaskGroup { group in
                for play in plays { group.addTask { try await check(play) } }
                try await group.waitForAll()
            }
        }

        private func check(_ play: Play) async throws {
            let output = try await Built.run(
                ["simulate", "replay", Self.path(play.scenario), "--json", "--quick"]
                    + ["--simulated", "0"] + play.options,
                timeout: .seconds(150)
            )
            guard output.exit.isSuccess else {
                Issue.record("\(play.scenario): \(output.standardError)")
                return
            }
            let report = try JSONDecoder().decode(
                Report.self,
                from: Data(output.standardOutput.utf8)
            )
            #expect(report.held)
            for phase in report.phases { tell(phase, of: play.scenario) }
            if play.isQuorum {
                let faults = report.phases.filter { $0.fault != nil }
                #expect(!faults.isEmpty)
                for phase in faults {
                    #expect(phase.sides.count == (phase.begins ? 2 : 1), "\(phase.caption)")
                    #expect(phase.sides.count { $0.master != nil } == 1, "\(phase.caption)")
                    #expect(phase.sides.allSatisfy { $0.wellAfter != nil }, "\(phase.caption)")
                }
            }
            guard play.unseats else { return }
            let first = report.phases.first { $0.fault == 1 && $0.begins }
            let woken = report.phases.first { $0.fault == 1 && !$0.begins }
            // A stalled process can stop being master only once it runs again.
            let steps = (first?.stepDowns ?? []) + (woken?.stepDowns ?? [])
            let step = try #require(steps.first { $0.node == "n1" }, "\(play.scenario)")
            #expect(step.after <= 3, "\(play.scenario)")
            #expect(report.masters > 1, "\(play.scenario)")
        }

        private func tell(_ phase: Report.Phase, of scenario: String) {
            var words = phase.stepDowns.map { "\($0.node) stops being master \(text($0.after))" }
            words += phase.sides.map { side in
                let time = side.wellAfter.map(text) ?? "not"
                return "\(side.nodes.joined(separator: " ")) of one mind \(time)"
            }
            let what = (phase.begins ? "" : "end of ") + phase.caption
            print("measured: \(scenario), \(what): \(words.joined(separator: "; "))")
        }

        private func text(_ seconds: Double) -> String {
            "after \((seconds * 100).rounded() / 100) s"
        }
    }
}
