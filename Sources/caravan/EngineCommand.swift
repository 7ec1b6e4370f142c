import ArgumentParser

struct EngineCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "engine",
        abstract: "Install or check llama.cpp's programs."
    )
    func run() async throws {}
}
struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo",
        abstract: "Three agents on this machine answer a question."
    )
    func run() async throws {}
}
