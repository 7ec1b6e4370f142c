import ArgumentParser
import FoundationEssentials
import Gateway

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "Show the cluster as an agent sees it: members, master, model."
    )

    @OptionGroup var agent: AgentAddress

    @Flag(help: "Print JSON; its keys are stable.")
    var json = false

    @Flag(help: "Print again after every change, until Ctrl-C.")
    var watch = false

    func run() async throws {
        guard watch else {
            show(try await agent.status())
            return
        }
        let events = try agent.client.stream("/api/v1/events")
        try await Signals.run {
            for try await event in events where !event.data.isEmpty {
                show(try JSONDecoder().decode(ClusterStatus.self, from: Data(event.data.utf8)))
            }
        }
    }

    private func show(_ status: ClusterStatus) {
        if json {
            print(StatusText.json(status, isCompact: watch))
        } else {
            print(StatusText.table(status))
        }
        Output.flush()
    }
}
