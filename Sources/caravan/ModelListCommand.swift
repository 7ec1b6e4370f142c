import ArgumentParser
import FoundationEssentials
import Gateway
import Primitives

struct ModelListCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list",
        abstract: "List the model files of all devices."
    )

    @Flag(help: "Print JSON with stable keys.")
    var json = false

    @OptionGroup var agent: AgentAddress

    private struct Row: Encodable {
        var device: String
        var node: String
        var name: String
        var bytes: UInt64
    }

    func run() async throws {
        let shelves = try await ModelShelf.all(agent)
        for shelf in shelves {
            if let problem = shelf.problem {
                Output.writeError("\(shelf.device.name) could not be asked: \(problem)")
            }
        }
        let rows = shelves.flatMap { shelf in
            shelf.models.map { model in
                Row(
                    device: shelf.device.name,
                    node: shelf.device.id,
                    name: model.name,
                    bytes: model.byteCount
                )
            }
        }
        if json {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
            print(String(decoding: try encoder.encode(["models": rows]), as: UTF8.self))
            return
        }
        guard !rows.isEmpty else {
            print("No device has a .gguf file in its models folder.")
            return
        }
        let cells = rows.map { [$0.name, "\(ByteCount($0.bytes))", $0.device] }
        for line in StatusText.columns([["MODEL", "SIZE", "DEVICE"]] + cells) { print(line) }
    }
}

/// The model files of one device.
struct ModelShelf {
    private struct List: Decodable {
        var models: [ModelFile]
    }

    var device: ClusterStatus.Member
    var models: [ModelFile] = []
    /// Why it could not be asked.
    var problem: String?

    /// Those of all devices that are there, the asked agent's first.
    static func all(_ agent: AgentAddress) async throws -> [ModelShelf] {
        let status = try await agent.status()
        let present = status.members.filter { $0.state == "alive" || $0.state == "suspect" }
        let own = present.filter { $0.id == status.`self` }
        var shelves: [ModelShelf] = []
        for device in own + present.filter({ $0.id != status.`self` }) {
            shelves.append(try await of(device, agent))
        }
        return shelves
    }

    private static func of(
        _ device: ClusterStatus.Member,
        _ agent: AgentAddress
    ) async throws -> ModelShelf {
        let response = try await agent.client.get("/api/v1/models?device=\(device.id)")
        do {
            try agent.check(response)
            let list = try JSONDecoder().decode(List.self, from: Data(response.body))
            return ModelShelf(device: device, models: list.models)
        } catch {
            return ModelShelf(device: device, problem: "\(error)")
        }
    }
}
