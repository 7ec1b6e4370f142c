import Agent
import ArgumentParser
import Diagnosis
import FoundationEssentials
import Gateway

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Find out what keeps devices from working together.",
        subcommands: [DoctorNetworkCommand.self],
        defaultSubcommand: DoctorNetworkCommand.self
    )
}

struct DoctorNetworkCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "network",
        abstract: "Explain what is wrong with the network, and what to do.",
        discussion: """
            Asks the agent of this device what it has seen: who was heard, who answers datagrams \
            and streams, on which interface it says it is. Run it on both devices of a pair that \
            does not meet; a firewall or an access point looks different from each side. Exit \
            codes: 0 nothing is wrong, 1 something is.
            """
    )

    @OptionGroup var agent: AgentAddress

    @Flag(help: "Print JSON; its keys are stable.")
    var json = false

    /// What `--json` prints.
    private struct Report: Encodable {
        var findings: [NetworkFinding]
        var facts: NetworkFacts
    }

    func run() async throws {
        let facts = try await facts()
        let findings = NetworkDiagnosis.findings(facts)
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
            let report = Report(findings: findings, facts: facts)
            print(String(decoding: try encoder.encode(report), as: UTF8.self))
        } else {
            print(NetworkText.report(facts, findings))
        }
        if findings.contains(where: { $0.weight == .problem }) { throw ExitCode.failure }
    }

    private func facts() async throws -> NetworkFacts {
        let response: GatewayClient.Response
        do {
            response = try await agent.client.get("/api/v1/network")
        } catch GatewayClientError.notListening {
            // Then at least the device itself can be looked at.
            return NetworkFacts(interfaces: Agent.interfaces(), agent: nil)
        }
        try agent.check(response)
        return try JSONDecoder().decode(NetworkFacts.self, from: Data(response.body))
    }
}

/// A diagnosis as text.
enum NetworkText {
    static func report(_ facts: NetworkFacts, _ findings: [NetworkFinding]) -> String {
        var lines: [String] = []
        if let agent = facts.agent {
            lines.append(
                "Agent   \(agent.name) of cluster \(agent.cluster), reached at \(agent.address), "
                    + "port \(agent.port)"
            )
        }
        let interfaces = facts.interfaces.filter { $0.isUp && $0.kind != .loopback }
        lines += StatusText.columns(
            interfaces.enumerated().map { index, interface in
                [
                    index == 0 ? "Network" : "       ", interface.name, interface.address,
                    interface.kind.words,
                ]
            }
        )
        lines += peers(facts.agent?.peers ?? [])
        for finding in findings { lines += ["", text(finding)] }
        if !findings.contains(where: { $0.weight == .problem }) {
            let count = facts.agent?.peers.count ?? 0
            let others = count == 0 ? "" : ": \(count) other agent\(count == 1 ? "" : "s") reached"
            lines += ["", "Nothing is wrong\(others)."]
        }
        return lines.joined(separator: "\n")
    }

    private static func peers(_ peers: [NetworkFacts.Peer]) -> [String] {
        guard !peers.isEmpty else { return [] }
        let rows = peers.map { peer in
            [
                peer.name, peer.address, peer.datagrams.rawValue, peer.streams.rawValue,
                peer.dialsUs ? "yes" : "not yet",
            ]
        }
        return [""]
            + StatusText.columns(
                [["MEMBER", "ADDRESS", "DATAGRAMS", "STREAMS", "DIALS US"]] + rows
            )
    }

    private static func text(_ finding: NetworkFinding) -> String {
        var lines = [(finding.weight == .problem ? "! " : "- ") + finding.what]
        if let why = finding.why { lines.append("  Why: \(why)") }
        lines += finding.actions.map { "  Do:  \($0)" }
        return lines.joined(separator: "\n")
    }
}
