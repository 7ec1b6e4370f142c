import Foundation
import Gateway
import Namespaces
import Primitives
import Testing

extension ClusterTests.Strangers {
    /// Sends recorded datagrams to one agent's port for beacons, from another machine.
    private func play(
        _ datagrams: [Capture.Datagram],
        from machine: Int,
        to agent: TestAgent,
        _ cluster: NamespaceCluster
    ) async throws {
        let folder = agent.folder + "-beacons-\(UInt32.random(in: 0 ... .max))"
        try FileManager.default.createDirectory(
            atPath: folder,
            withIntermediateDirectories: true
        )
        for (number, datagram) in datagrams.enumerated() {
            try Data(datagram.bytes).write(to: URL(filePath: folder + "/\(number)"))
        }
        let place = "\(agent.address)/52413"
        let sending = "for f in \(folder)/*; do cat $f > /dev/udp/\(place); done"
        try await cluster.network.run("bash -c '\(sending)'", on: machine)
    }

    private func record(
        _ filter: String,
        _ cluster: NamespaceCluster,
        _ body: () async throws -> Void
    ) async throws -> Capture {
        try await Capture.during(
            filter,
            on: "bridge",
            placed: cluster.network.hubCommand,
            body
        )
    }

    @Test func `a recorded beacon is answered by no device that was started since`()
        async throws
    {
        let engine = try await TestEngine.folder
        let models = try await TestModels.folder
        try await withNamespaces(4, engine: engine, models: models) { cluster in
            let stranger = cluster.network.address(of: 3)
            let first = cluster.add(discovers: true)
            let second = cluster.add(discovers: true)
            let recorded = try await record("udp port 52413", cluster) {
                try await cluster.agree()
                try await Task.sleep(for: .seconds(2))
            }
            let beacons = recorded.datagrams.filter { $0.source.address == first.address }
            #expect(beacons.count >= 2)
            for agent in [first, second] {
                agent.kill()
                _ = try await agent.running?.end()
            }

            // A device that was off meanwhile, and remembers nobody.
            let third = cluster.add(discovers: true)
            try await cluster.agree([third])
            let places = "(dst host \(first.address) or dst host \(stranger))"
            // Neither datagrams nor attempts to open a stream.
            let words = try await record("ip and src host \(third.address) and \(places)", cluster)
            {
                try await play(beacons, from: 3, to: third, cluster)
                try await Task.sleep(for: .seconds(3))
            }
            #expect(words.packetCount == 0)
            let status = try await third.status()
            #expect(status.members.count == 1)
            #expect(status.refused["beacon.tooOld", default: 0] >= beacons.count)

            // One that heard them in an earlier life. It remembers the first one by itself.
            second.start()
            try await cluster.agree([second, third])
            let answers = try await record(
                "ip and src host \(second.address) and dst host \(stranger)",
                cluster
            ) {
                try await play(beacons, from: 3, to: second, cluster)
                try await Task.sleep(for: .seconds(3))
            }
            #expect(answers.packetCount == 0)
            let refused = try await second.status().refused
            #expect(refused["beacon.tooOld", default: 0] >= beacons.count)

            // Beacons that are new still bring all together.
            first.start()
            try await cluster.agree()
        }
    }
}
