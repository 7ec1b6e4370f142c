import Agent
import ArgumentParser
import Gateway
import Primitives
import Telemetry

struct LogsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs",
        abstract: "Show the log of the agent on this device, or on another one.",
        discussion: """
            Without a name the log's files on this device are read, whether its agent runs or not:
              caravan logs -f
            With one, the agent of that device is asked, through the one on this device:
              caravan logs kitchen --level warning
            """
    )

    @Argument(help: "A device's name, or its node; this device if left out.")
    var device: String?

    @Option(help: ArgumentHelp("The agent's state folder, on this device.", valueName: "dir"))
    var state = Folders.state

    @Flag(name: [.short, .long], help: "Go on with what is logged from now on, until Ctrl-C.")
    var follow = false

    @Flag(help: "Print the JSON lines as they are.")
    var json = false

    @Option(help: "The lowest level to show.")
    var level = "info"

    @Option(name: [.customShort("n"), .long], help: "How many lines of the past to show.")
    var lines = LogTail.defaultLineCount

    @OptionGroup var agent: AgentAddress

    func run() async throws {
        guard let minimum = LogLevel(rawValue: level) else {
            let names = LogLevel.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--level takes one of \(names), not '\(level)'")
        }
        if let device { return try await showRemote(device) }
        let tail = LogTail(
            directory: AgentConfiguration.logFolder(in: Folders.absolute(state)),
            minimumLevel: minimum,
            lineCount: lines
        )
        let show = printer
        let follow = follow
        try await Signals.run {
            try await tail.run(follows: follow, onLine: show)
        }
    }

    private var printer: @Sendable (LogLine) -> Void {
        let format = TerminalFormat(colours: Output.wantsColours)
        let json = json
        return { line in
            print(json ? line.json : line.readable(format))
            Output.flush()
        }
    }

    private func showRemote(_ device: String) async throws {
        let client = try agent.client
        let path =
            "/api/v1/logs?device=\(PercentEncoding.encoded(device))&lines=\(max(0, lines))"
            + "&level=\(level)" + (follow ? "&follow=1" : "")
        let show = printer
        try await Signals.run {
            var splitter = LineSplitter()
            try await agent.untilCancelled {
                try await client.read(path) { bytes in
                    splitter.feed(bytes) { if let line = LogLine($0) { show(line) } }
                }
            }
        }
    }
}
