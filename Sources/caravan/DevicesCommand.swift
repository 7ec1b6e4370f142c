import Agent
import ArgumentParser
import Gateway
import Primitives
import SecureChannel

struct DevicesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "devices",
        abstract: "List the devices of the cluster, or remove one.",
        discussion: """
              caravan devices                  who is there, and who was removed
              caravan devices remove NAME      puts NAME out, from any other device
            A removed device stays out: the others know it by a key of its own. To take it in \
            again, give it a new one. On that device:
              1. stop its agent
              2. caravan join --new-device CODE    (caravan key show, on another, prints the code)
              3. caravan agent
            """,
        subcommands: [List.self, Remove.self],
        defaultSubcommand: List.self
    )

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the devices that the agent knows, and those that were removed."
        )

        @OptionGroup var agent: AgentAddress
        @OptionGroup var location: KeyLocation

        func run() async throws {
            let status = try await agent.status()
            var rows = [["NAME", "NODE", "ADDRESS", "STATE"]]
            for member in status.members {
                rows.append([member.name, member.id, member.address, member.state])
            }
            for line in StatusText.columns(rows) { print(line) }
            let removed = (try? location.file.read())?.removed ?? []
            for node in removed { print("removed  \(node)") }
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a device from the cluster, for ever.",
            discussion: """
                The others stop talking to it within seconds, and the cluster changes to a new key \
                that it never gets. Devices that are off at that time must join again with the new \
                code, which this prints. This device's agent must run.

                The removed device is told so if it is on (caravan status and doctor say it there); \
                else it just finds nobody any more. How it comes back, if it shall: caravan devices \
                --help.
                """
        )

        @Argument(help: "The device's name, or its node.")
        var device: String

        @OptionGroup var agent: AgentAddress
        @OptionGroup var location: KeyLocation

        func run() async throws {
            var ring = try location.ring()
            let node = try await node()
            guard node.description != (try await agent.status()).`self` else {
                throw CommandFailure(
                    "\(device) is the device that was asked: it cannot put itself out. Ask "
                        + "another one (--host, --state), or let it go: caravan leave"
                )
            }
            ring.rotate(removing: node, at: ClusterKeyFile.now)
            try location.file.write(ring)
            let called = device == node.description ? device : "\(device) (\(node))"
            print(
                """
                \(called) is out. The others hear of it as soon as this device's agent \
                tells them, within seconds. For devices that are off now, the new join code:

                  \(JoinCode.text(for: ring.newest.key))
                """
            )
        }

        private func node() async throws -> NodeID {
            let members = try await agent.status().members
            let named = members.filter { $0.name == device || $0.id == device }
            guard let first = named.first, let node = NodeID(first.id) else {
                // A device that is forgotten by name may be removed by its node.
                if let node = NodeID(device) { return node }
                let names = members.map(\.name).sorted().joined(separator: ", ")
                throw CommandFailure("No device is called \(device); there are \(names)")
            }
            guard named.count == 1 else {
                let nodes = named.map { "\($0.id) (\($0.state), \($0.address))" }
                throw CommandFailure(
                    "Several devices are called \(device): name one by its node, "
                        + nodes.joined(separator: " or ")
                )
            }
            return node
        }
    }
}
