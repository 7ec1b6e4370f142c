import FoundationEssentials
import Primitives
import Processes

/// Where measured agents live: on this machine's loopback, in a namespace of their own, or each in
/// one with a cable to a common bridge.
///
/// Gone with `remove()`.
struct BenchNetwork: Sendable {
    enum Shape: Sendable { case loopback, shared, each }

    let shape: Shape
    let name: String
    let agentCount: Int

    func make() async throws {
        switch shape {
        case .loopback: return
        case .shared:
            try await ip("netns add \(name)")
            try await ip("-n \(name) link set lo up")
        case .each:
            try await ip("netns add \(name)")
            try await ip("-n \(name) link add br0 type bridge")
            try await ip("-n \(name) link set br0 up")
            for index in 0..<agentCount {
                let own = "\(name)-\(index)"
                try await ip("netns add \(own)")
                try await ip("-n \(own) link set lo up")
                try await ip("-n \(own) link add eth0 type veth peer name v\(index) netns \(name)")
                try await ip("-n \(name) link set v\(index) master br0 up")
                try await ip("-n \(own) address add \(address(of: index))/24 dev eth0")
                try await ip("-n \(own) link set eth0 up")
            }
        }
    }

    func remove() async {
        switch shape {
        case .loopback: return
        case .shared: try? await ip("netns del \(name)")
        case .each:
            for index in 0..<agentCount { try? await ip("netns del \(name)-\(index)") }
            try? await ip("netns del \(name)")
        }
    }

    /// Pulls an agent's cable, or plugs it in again, at the bridge's end: the host notices nothing.
    func setCable(of index: Int, isPlugged: Bool) async throws {
        try await ip("-n \(name) link set v\(index) \(isPlugged ? "master br0" : "nomaster")")
    }

    func address(of index: Int) -> IPAddress {
        switch shape {
        case .loopback, .shared: .v4(0x7F65_0000 | UInt32(index + 1))
        case .each: .v4(0x0A4D_0000 | UInt32(index + 1))
        }
    }

    /// The command as it is started there.
    func inside(_ command: ChildCommand, of index: Int) -> ChildCommand {
        let namespace: String
        switch shape {
        case .loopback: return command
        case .shared: namespace = name
        case .each: namespace = "\(name)-\(index)"
        }
        var inside = command
        inside.executable = ProcessTools.find("ip") ?? "/usr/sbin/ip"
        inside.arguments =
            ["netns", "exec", namespace, command.executable] + command.arguments
        return inside
    }

    private func ip(_ arguments: String) async throws {
        guard let program = ProcessTools.find("ip") else {
            throw CommandFailure("there is no `ip` command: apt-get install iproute2")
        }
        let command = ChildCommand(
            executable: program,
            arguments: arguments.split(separator: " ").map(String.init)
        )
        let output = try await runForOutput(command, timeout: .seconds(10))
        guard output.exit.isSuccess else {
            throw CommandFailure("ip \(arguments): \(output.standardError)")
        }
    }
}
