import ArgumentParser

struct BenchCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "bench",
        abstract: "Measure agents on this machine.",
        subcommands: [
            BenchMembershipCommand.self, BenchLifeguardCommand.self, BenchRelayCommand.self,
            BenchStartupCommand.self, BenchSimulatorCommand.self,
        ]
    )
}
