import ArgumentParser
import FoundationEssentials
import Gateway

/// What an agent answers to a command about one device.
private struct DeviceAnswer: Decodable {
    var status: String
    var name: String
    var notes: [String]

    /// Asks, and shows the answer: as it came with `json`, else in words.
    static func ask(
        _ agent: AgentAddress,
        _ path: String,
        _ body: some Encodable,
        json: Bool,
        words: (DeviceAnswer) -> String
    ) async throws {
        let response = try await agent.client.post(
            path,
            json: [UInt8](try JSONEncoder().encode(body)),
            // The others may have to place a model anew first.
            timeLimit: .seconds(60)
        )
        try agent.check(response)
        if json {
            print(response.text)
            return
        }
        let answer = try JSONDecoder().decode(Self.self, from: Data(response.body))
        print(words(answer))
        for note in answer.notes { print("  but \(note)") }
    }
}

struct TransferCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "transfer",
        abstract: "Make another device the master.",
        discussion: """
            The master asks that device first and goes on until it has agreed, so that an unfit \
            one changes nothing. A model that runs is loaded again, because llama-server runs on \
            the master: a better device never takes over by itself for that reason.

            Exit codes: 0 that device is master, 1 it is not (the message says why).
            """
    )

    @Argument(help: "The device's name, or its node.")
    var name: String

    @Flag(help: "Print JSON; its keys are stable.")
    var json = false

    @OptionGroup var agent: AgentAddress

    func run() async throws {
        try await DeviceAnswer.ask(agent, "/api/v1/transfer", ["to": name], json: json) {
            "\($0.name) is master now."
        }
    }
}

struct LeaveCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "leave",
        abstract: "Take a device out of the cluster before it goes away.",
        discussion: """
            The device hands mastership over, the model is placed on what remains, and its agent \
            says goodbye and ends. Under --policy quorum it gives its vote up, which stopping an \
            agent in another way does not.

            With --drain it stays, but takes no work until --undo, also when its agent starts again.

            Exit codes: 0 it went (or is drained), 1 it did not.
            """
    )

    @Argument(help: "The device's name, or its node; without it, the agent that is asked.")
    var name: String?

    @Flag(help: "Stay, and take no work.")
    var drain = false

    @Flag(help: "Take work again after --drain.")
    var undo = false

    @Flag(help: "Print JSON; its keys are stable.")
    var json = false

    @OptionGroup var agent: AgentAddress

    private struct Body: Encodable {
        var device: String?
        var drained: Bool?
    }

    func validate() throws {
        if undo, drain {
            throw ValidationError("give either --drain or --undo")
        }
    }

    func run() async throws {
        guard drain || undo else {
            try await DeviceAnswer.ask(agent, "/api/v1/leave", Body(device: name), json: json) {
                "\($0.name) has left."
            }
            return
        }
        let body = Body(device: name, drained: drain)
        try await DeviceAnswer.ask(agent, "/api/v1/drain", body, json: json) { answer in
            answer.status == "drained"
                ? "\(answer.name) takes no more work; undo it with: "
                    + "caravan leave \(answer.name) --undo"
                : "\(answer.name) takes work again."
        }
    }
}

struct FoundCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "found",
        abstract: "Found a cluster under --policy quorum, once, on one device.",
        discussion: """
            With --policy quorum there is at most one master anywhere, so somebody must say which \
            cluster is meant: run this on one device, once. The other devices join it by \
            themselves, and up to five of them become voters.
            """
    )

    @Flag(help: "Print JSON; its keys are stable.")
    var json = false

    @OptionGroup var agent: AgentAddress

    func run() async throws {
        let body: [String: String] = [:]
        try await DeviceAnswer.ask(agent, "/api/v1/found", body, json: json) {
            "\($0.name) has founded a cluster; the other devices join it by themselves."
        }
    }
}
