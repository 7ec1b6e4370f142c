import Agent
import ArgumentParser
import FoundationEssentials
import Gateway

struct TokenCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "token",
        abstract: "Let programs on other devices use this device's agent.",
        discussion: """
            On the device itself no token is needed. From elsewhere the HTTP API takes requests \
            with a token only; it counts at the agent of the device that made it:
              caravan token create "my laptop"
              curl -H "Authorization: Bearer TOKEN" http://192.168.1.7:52415/v1/models
            OpenAI clients send it as their API key, `caravan` as --token or $CARAVAN_TOKEN, and \
            the dashboard asks for it.
            """,
        subcommands: [
            TokenCreateCommand.self, TokenListCommand.self, TokenRemoveCommand.self,
        ]
    )
}

/// Whose tokens a command is about.
struct TokenFolder: ParsableArguments {
    @Option(help: ArgumentHelp("The state folder of the agent.", valueName: "dir"))
    var state = Folders.state

    var file: TokenFile { TokenFile(stateFolder: Folders.absolute(state)) }
}

struct TokenCreateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "create",
        abstract: "Make a token; it is shown once."
    )

    @Argument(help: "Who gets it, or what for.")
    var name: String

    @Flag(help: "Allow to launch and stop models, too.")
    var admin = false

    @OptionGroup var folder: TokenFolder

    func run() async throws {
        let token = try folder.file.create(name, admin ? .admin : .api, at: Date())
        // Alone on standard output, so that a script can take it.
        Output.writeError("The token \(name) counts at once. It is not shown again:")
        print(token)
    }
}

struct TokenListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "Show which tokens there are, without the tokens."
    )

    @Flag(help: "Print JSON.")
    var json = false

    @OptionGroup var folder: TokenFolder

    private struct Line: Encodable {
        var name: String
        var kind: TokenKind
        var created: Int
    }

    func run() async throws {
        let entries = try folder.file.load()
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted]
            let lines = entries.map { Line(name: $0.name, kind: $0.kind, created: $0.created) }
            print(String(decoding: try encoder.encode(lines), as: UTF8.self))
            return
        }
        guard !entries.isEmpty else {
            print("No tokens: only this device itself can use its agent over HTTP")
            return
        }
        let rows = entries.map { entry in
            let created = Date(timeIntervalSince1970: Double(entry.created))
            return [entry.name, entry.kind.rawValue, created.ISO8601Format()]
        }
        for line in StatusText.columns([["NAME", "ALLOWS", "CREATED"]] + rows) { print(line) }
    }
}

struct TokenRemoveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "remove",
        abstract: "Make a token count no longer, at once."
    )

    @Argument(help: "Its name.")
    var name: String

    @OptionGroup var folder: TokenFolder

    func run() async throws {
        guard try folder.file.remove(name) else {
            throw CommandFailure(
                "There is no token called \(name): `caravan token list` shows which there are"
            )
        }
        print("The token \(name) counts no longer")
    }
}
