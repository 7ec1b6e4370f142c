import ArgumentParser
import Processes

/// The entry: a guard for children first, then the command line.
@main
enum Main {
    static func main() async {
        ProcessGuard.becomeCommandIfRequested()
        await Caravan.main()
    }
}

struct Caravan: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "caravan",
        abstract: "Turns the devices you own into one LLM server.",
        discussion: """
            Try it on this machine alone:
              caravan demo

            Put it on your devices:
              caravan engine install          on every device
              caravan init                    on the first one; it prints a code
              caravan join CODE               on the others
              caravan agent                   on every device
              caravan launch my-model.gguf    on any of them
            Then open http://ADDRESS:52415 of any device, or point an OpenAI client at it.
            """,
        version: "0.1.0",
        subcommands: [
            InitCommand.self, JoinCommand.self, AgentCommand.self, DemoCommand.self,
            StatusCommand.self, LaunchCommand.self, StopCommand.self, TransferCommand.self,
            LeaveCommand.self, FoundCommand.self, LogsCommand.self, TokenCommand.self,
            KeyCommand.self, DevicesCommand.self, DoctorCommand.self, EngineCommand.self,
            ModelCommand.self, CacheCommand.self, SimulateCommand.self, BenchCommand.self,
        ]
    )
}
