import GGUF
import ArgumentParser
import FoundationEssentials
import Gateway
import Primitives

struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Three agents on this machine elect a master, split a model and answer.",
        discussion: """
            Everything stays in one folder and on loopback addresses; nothing is left running. The \
            first run fetches llama.cpp's programs (about 20 MB); later runs need no network.
            """
    )

    @Option(help: ArgumentHelp("The folder for everything of the demo.", valueName: "dir"))
    var state = Folders.demo

    @Option(help: ArgumentHelp("Where llama.cpp's binaries are.", valueName: "dir"))
    var engine: String?

    @Option(help: ArgumentHelp("A GGUF to run instead of a tiny one.", valueName: "path"))
    var model: String?

    @Option(help: "What to ask.")
    var prompt = "Tell me about caravans."

    @Option(help: "How many tokens to answer.")
    var tokens = 48

    @Flag(help: "Leave the cluster running and print its URLs, until Ctrl-C.")
    var keep = false

    func run() async throws {
        let demo = self
        try await Signals.run {
            try await demo.perform()
        }
    }

    private func perform() async throws {
        let folder = Folders.absolute(state)
        let engineFolder = try await DemoEngine.find(engine.map(Folders.absolute), in: folder)
        let file = try modelFile(in: folder)
        let cluster = DemoCluster(
            folder: folder,
            engine: engineFolder,
            models: String(file.prefix(upTo: file.lastIndex(of: "/") ?? file.startIndex)),
            // Equal parts for the tiny model, as in the reference; a model of one's own is split by
            // the memory that there is.
            memory: model == nil ? ByteCount(1 << 30) : nil
        )
        do {
            try await show(cluster, model: file)
        } catch {
            await cluster.stop()
            throw error
        }
        await cluster.stop()
    }

    private func modelFile(in folder: String) throws -> String {
        if let model { return Folders.absolute(model) }
        let path = folder + "/models/tiny.gguf"
        if !FileManager.default.fileExists(atPath: path) {
            Step.say("Writing a tiny model with random weights to \(path)")
            try TinyModel.write(.tiny, seed: 1, to: path)
        }
        return path
    }

    private func show(_ cluster: DemoCluster, model: String) async throws {
        Step.say("Starting three agents")
        try await cluster.start()
        let formed = try await cluster.waitForMaster()
        let names = formed.members.reduce(into: [:]) { $0[$1.id] = $1.name }
        let master = formed.master.flatMap { names[$0] } ?? ""
        Step.say("\(master) is master; the others are workers")
        let asked = try cluster.agent { $0.name != master }

        let name = model.split(separator: "/").last.map(String.init) ?? model
        Step.say("Launching \(name) through \(asked.name), which is not the master")
        let ready = try await cluster.launch(name, through: asked)

        Step.say("Asking \(asked.name): \(prompt)")
        print("")
        let answer = try await cluster.ask(prompt, tokens: tokens, through: asked)
        print("\n")
        Step.say("Who held what, as llama-server reported it")
        for line in StatusText.layers(ready) { print(line) }
        let rate = (answer.tokensPerSecond * 10).rounded() / 10
        Step.say("\(answer.tokenCount) tokens, \(rate) tokens/s")
        guard keep else { return }
        Step.say("The cluster goes on until Ctrl-C:")
        for agent in cluster.agents {
            print("        \(agent.name)  http://\(agent.address):\(DemoCluster.httpPort)")
        }
        Output.flush()
        try? await Task.sleep(for: .seconds(365 * 86400))
    }
}

/// What the demo says of itself, set off from what the agents say.
enum Step {
    static func say(_ text: String) {
        print("==> \(text)")
        Output.flush()
    }
}
