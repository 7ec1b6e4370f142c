import ArgumentParser
import FoundationEssentials
import Gateway

struct LaunchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "launch",
        abstract: "Make the cluster run a model.",
        discussion: """
            The model is split over the workers by their memory. Whatever happens to devices \
            afterwards, the cluster keeps it running until `caravan stop`.
            """
    )

    @Argument(help: "A GGUF file's name in the master's models folder, or a path on the master.")
    var model: String

    @Option(help: "Tokens of context.")
    var context: Int?

    @Flag(help: "Return as soon as the cluster has taken the order.")
    var detach = false

    @OptionGroup var agent: AgentAddress

    func run() async throws {
        let client = try agent.client
        let request = try JSONEncoder().encode(LaunchRequest(model: model, context: context))
        try agent.check(try await client.post("/api/v1/launch", json: [UInt8](request)))
        guard !detach else {
            print("The cluster will run \(model); follow it with: caravan status --watch")
            return
        }
        let events = client.stream("/api/v1/events")
        let model = model
        try await Signals.run {
            var display = LaunchDisplay(columnCount: Output.columnCount)
            defer { Output.write(display.end()) }
            for try await event in events where !event.data.isEmpty {
                let status = try JSONDecoder().decode(
                    ClusterStatus.self,
                    from: Data(event.data.utf8)
                )
                guard let current = status.model, current.name == model else { continue }
                // That it failed is said once, as what this command ends with.
                guard current.phase != "failed" else { throw CommandFailure(current.message) }
                Output.write(display.show(current))
                guard current.phase != "ready" else {
                    for line in StatusText.layers(current) { print(line) }
                    return
                }
            }
        }
    }
}

struct StopCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stop",
        abstract: "Make the cluster run no model; agents go on."
    )

    @OptionGroup var agent: AgentAddress

    func run() async throws {
        try agent.check(try await agent.client.post("/api/v1/stop", json: Array("{}".utf8)))
        print("The cluster runs no model any more.")
    }
}
