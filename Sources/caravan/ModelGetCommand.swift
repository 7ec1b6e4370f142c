import Agent
import ArgumentParser
import FoundationEssentials
import Gateway
import Primitives

struct ModelGetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "get",
        abstract: "Fetch a model file from another device into this one's models folder.",
        discussion: """
            It travels between the agents, sealed as everything else there. What was fetched of it \
            before the connection broke, or before Ctrl-C, is not fetched again.
              caravan model list
              caravan model get my-model.gguf
            """
    )

    @Argument(help: "The file's name, as `caravan model list` shows it.")
    var model: String

    @Option(help: ArgumentHelp("The device to fetch it from.", valueName: "device"))
    var from: String?

    @Option(help: ArgumentHelp("Where to put it.", valueName: "dir"))
    var models = Folders.models

    @Flag(help: "Replace a file of this name that differs.")
    var force = false

    @OptionGroup var agent: AgentAddress

    func validate() throws {
        guard !model.contains("/"), model.hasSuffix(".gguf"), !model.hasPrefix(".") else {
            throw ValidationError("'\(model)' is no model file's name: give one like tiny.gguf")
        }
    }

    func run() async throws {
        let (device, byteCount) = try await source()
        let download = ModelDownload(
            model: model,
            byteCount: byteCount,
            folder: Folders.absolute(models)
        )
        if let present = download.presentByteCount {
            if present == byteCount {
                print("\(model) is in \(download.folder) already")
                return
            }
            guard force else {
                throw CommandFailure(
                    "\(download.path) is there and differs: \(ByteCount(present)), on "
                        + "\(device.name) \(ByteCount(byteCount)). `--force` replaces it"
                )
            }
        }
        try download.requireRoom()
        let agent = agent
        try await Signals.run {
            try await download.run(from: device, through: agent)
        }
        print("\(download.path): \(ByteCount(byteCount)) from \(device.name)")
    }

    /// Who has the file, and how large it is there.
    private func source() async throws -> (device: ClusterStatus.Member, byteCount: UInt64) {
        let all = try await ModelShelf.all(agent)
        let asked = all.filter { from == nil || $0.device.name == from || $0.device.id == from }
        if let from, asked.isEmpty {
            let names = all.map(\.device.name).joined(separator: ", ")
            throw CommandFailure("No device called \(from) is there. There are: \(names)")
        }
        let found = asked.compactMap { shelf in
            shelf.models.first { $0.name == model }.map { (shelf.device, $0.byteCount) }
        }
        guard let first = found.first else {
            let problems = asked.compactMap { shelf in
                shelf.problem.map { "; \(shelf.device.name) could not be asked: \($0)" }
            }
            throw CommandFailure(
                "No device has \(model) in its models folder (see `caravan model list`)"
                    + problems.joined()
            )
        }
        guard found.allSatisfy({ $0.1 == first.1 }) else {
            let sizes = found.map { "\($0.0.name) \(ByteCount($0.1))" }.joined(separator: ", ")
            throw CommandFailure("Not all of these files are the same: \(sizes). Say `--from`")
        }
        return first
    }
}
