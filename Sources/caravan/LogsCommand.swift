import ArgumentParser
import Primitives
import Telemetry

struct LogsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "logs",
        abstract: "Show the log of the agent on this device."
    )

    @Option(help: ArgumentHelp("The agent's state folder.", valueName: "dir"))
    var state = Folders.state

    @Flag(name: [.short, .long], help: "Go on with what is logged from now on, until Ctrl-C.")
    var follow = false

    @Flag(help: "Print the JSON lines as they are.")
    var json = false

    @Option(help: "The lowest level to show.")
    var level = "info"

    @Option(name: [.customShort("n"), .long], help: "How many lines of the past to show.")
    var lines = LogTail.defaultLineCount

    func run() async throws {
        guard let minimum = LogLevel(rawValue: level) else {
            let names = LogLevel.allCases.map(\.rawValue).joined(separator: ", ")
            throw ValidationError("--level takes one of \(names), not '\(level)'")
        }
        let tail = LogTail(
            directory: Folders.absolute(state) + "/logs",
            minimumLevel: minimum,
            lineCount: lines
        )
        let format = TerminalFormat(colours: Output.wantsColours)
        let (follow, json) = (follow, json)
        try await Signals.run {
            try await tail.run(follows: follow) { line in
                print(json ? line.json : line.readable(format))
                Output.flush()
            }
        }
    }
}
