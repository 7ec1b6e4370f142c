import Foundation
import Processes
import Testing

extension ClusterTests {
    /// What a long way between the master and its workers costs at the start of a model.
    @Suite(.needsEngine, .needsNamespaces) struct Startup {
        private struct Report: Decodable {
            struct Case: Decodable {
                var exposure: String
                var firstAdded: Double
                var laterAdded: Double
            }

            var cases: [Case]
        }

        @Test func `a long way costs the relay a fraction of what it costs llama.cpp as it is`()
            async throws
        {
            let engine = try await TestEngine.folder
            let output = try await Built.run(
                [
                    "bench", "startup", "--rtt", "40ms", "--rounds", "1", "--later-launches", "2",
                    "--engine", engine, "--json",
                ],
                timeout: .seconds(240)
            )
            #expect(output.exit.isSuccess, "\(output.standardError)")
            print("measured: \(output.standardError)")
            let report = try JSONDecoder().decode(
                Report.self,
                from: Data(output.standardOutput.utf8)
            )
            let relay = try #require(report.cases.first { $0.exposure == "relay" })
            let direct = try #require(report.cases.first { $0.exposure == "direct" })
            // Over a hundred turn-arounds, one after the other: the bench delays what it says.
            #expect(direct.firstAdded > 2.5 && direct.laterAdded > 2.5, "\(report)")
            #expect(relay.firstAdded < 0.6 * direct.firstAdded, "\(report)")
            #expect(relay.laterAdded < 0.4 * direct.laterAdded, "\(report)")
        }
    }
}
