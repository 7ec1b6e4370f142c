import LlamaEngine
import ArgumentParser
import EngineStore
import FoundationEssentials
import Synchronization

struct EngineCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "engine",
        abstract: "Install or check llama.cpp's programs.",
        subcommands: [EngineInstallCommand.self, EngineCheckCommand.self]
    )
}

struct EngineInstallCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "install",
        abstract: "Fetch llama.cpp from this machine's Debian mirror, without root.",
        discussion: """
            About 20 MB are downloaded and 60 MB kept, in a folder of its own: nothing else on the \
            machine changes. Where apt-get is missing, build llama.cpp with -DGGML_RPC=ON and name \
            its folder with --engine or CARAVAN_ENGINE.
            """
    )

    @Option(help: ArgumentHelp("The folder to install to.", valueName: "dir"))
    var into = Folders.engine

    @Option(
        help: ArgumentHelp(
            "Keep the packages here, and take them from here the next time.",
            valueName: "dir"
        )
    )
    var cache: String?

    func run() async throws {
        let engine = try await DemoEngine.install(
            into: Folders.absolute(into),
            cache: cache.map(Folders.absolute)
        )
        print("llama.cpp \(engine.facts.version) is in \(engine.folder)")
    }
}

struct EngineCheckCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "check",
        abstract: "Show which llama.cpp is used, what it can, and what is wrong with it."
    )

    @Option(help: ArgumentHelp("Check this folder only.", valueName: "dir"))
    var engine: String?

    @Flag(help: "Print JSON.")
    var json = false

    func run() async throws {
        let check = await EngineCheck.run(
            DemoEngine.locator(engine.map(Folders.absolute), installFolder: Folders.engine)
        )
        if json {
            let values = check.rows.reduce(into: [String: String]()) {
                $0[$1.label, default: ""] += ($0[$1.label] == nil ? "" : "; ") + $1.value
            }
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
            print(String(decoding: try encoder.encode(values), as: UTF8.self))
        } else {
            for line in StatusText.columns(check.rows.map { [$0.label, $0.value] }) { print(line) }
            if !check.isUsable {
                print("looked in:")
                for place in check.places { print("  \(place)") }
            }
        }
        if !check.isUsable { throw ExitCode.failure }
    }
}
