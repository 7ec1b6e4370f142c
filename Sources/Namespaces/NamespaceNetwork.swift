import FoundationEssentials
package import Primitives
package import Processes
import Synchronization

/// Machines with addresses of their own on one bridge, each a network namespace; nobody outside
/// sees any of it.
///
///     10.77.0.1   10.77.0.2   …       one namespace a node, interface eth0
///         │           │
///      port n1     port n2    …
///         └── bridge ─┴─ 10.77.0.254  the hub's namespace, which reaches every node
///
/// The namespaces have no names, so nothing is left of them once the last process in them is
/// gone: those that hold them open die with this process, even when it is killed.
package final class NamespaceNetwork: Sendable {
    package static let nodeLimit = 64
    static let interface = "eth0"
    static let bridge = "bridge"
    private static let network: UInt32 = 10 << 24 | 77 << 16
    private static let hubNumber: UInt32 = 254

    /// Where the bridge is.
    package enum Hub: Sendable {
        /// In this process's own namespace, which it entered for that (`entering`): it reaches
        /// the nodes itself.
        case own
        /// In one more namespace. For tests, which share their process with others. Needs root.
        case apart
    }

    package let nodeCount: Int
    private let guardBinary: ProcessGuard.Binary
    private let hub: Holder?
    private let nodes = Mutex<[Holder]>([])

    private init(nodeCount: Int, hub: Holder?, guardedBy guardBinary: ProcessGuard.Binary) {
        self.nodeCount = nodeCount
        self.hub = hub
        self.guardBinary = guardBinary
    }

    // MARK: - Names and addresses

    package static func name(of node: Int) -> String { "n\(node + 1)" }

    package static func address(of node: Int) -> IPAddress {
        .v4(network | UInt32(node + 1))
    }

    package func address(of node: Int) -> IPAddress { Self.address(of: node) }

    // MARK: - Whether it can be had

    /// What runs a program in a namespace of its own, where it may make a network with
    /// `Hub.own`.
    ///
    /// Without root that takes a user namespace, which some systems forbid.
    package static func entering(_ command: ChildCommand, isRoot: Bool) -> ChildCommand {
        Shell.command(enter(isRoot: isRoot) + [command.executable] + command.arguments)
    }

    private static func enter(isRoot: Bool) -> [String] {
        isRoot ? ["unshare", "--net"] : ["unshare", "--user", "--map-root-user", "--net"]
    }

    private static let programs = [
        ("unshare", "util-linux"), ("nsenter", "util-linux"), ("ip", "iproute2"),
        ("tc", "iproute2"), ("ss", "iproute2"), ("nft", "nftables"),
    ]

    /// Throws what is in the way of a network; to be asked from outside of one.
    package static func check(
        isRoot: Bool,
        guardedBy guardBinary: ProcessGuard.Binary = .ownExecutable
    ) async throws {
        for (program, package) in programs {
            let found = try await Shell.run(
                ["sh", "-c", "command -v \(program)"],
                guardedBy: guardBinary
            )
            guard found.exit.isSuccess else {
                throw NamespaceError.missing(program: program, package: package)
            }
        }
        let test = "ip link add bridge type bridge && nft add table bridge faults"
        let output = try await Shell.run(
            enter(isRoot: isRoot) + ["sh", "-c", test],
            guardedBy: guardBinary
        )
        guard output.exit.isSuccess else {
            throw NamespaceError.refused(Shell.complaint(output))
        }
    }

    // MARK: - Life

    /// Makes a network, hands it out, and removes it however the work ends.
    package static func with<Result>(
        nodeCount: Int,
        hub: Hub,
        guardedBy guardBinary: ProcessGuard.Binary = .ownExecutable,
        _ work: (NamespaceNetwork) async throws -> Result
    ) async throws -> Result {
        precondition((1...nodeLimit).contains(nodeCount))
        var holder: Holder?
        if hub == .apart {
            holder = try await Holder.start(["unshare", "--net"], guardedBy: guardBinary)
        }
        let network = NamespaceNetwork(
            nodeCount: nodeCount,
            hub: holder,
            guardedBy: guardBinary
        )
        do {
            try await network.build()
            let result = try await work(network)
            await network.end()
            return result
        } catch {
            await network.end()
            throw error
        }
    }

    private func build() async throws {
        try await runInHub(
            """
            ip link set lo up
            ip link add \(Self.bridge) type bridge mcast_snooping 0
            ip addr add \(IPAddress.v4(Self.network | Self.hubNumber))/24 brd + dev \(Self.bridge)
            ip link set \(Self.bridge) up
            """
        )
        for node in 0..<nodeCount {
            let holder = try await Holder.start(
                enter(hub) + ["unshare", "--net"],
                guardedBy: guardBinary
            )
            nodes.withLock { $0.append(holder) }
            let port = Self.name(of: node)
            try await runInHub(
                """
                ip link add \(port) type veth peer name \(Self.interface) netns \(holder.pid)
                ip link set \(port) master \(Self.bridge) up
                """
            )
            // Duplicate addresses need not be looked for: IPv6 is there at once.
            try await run(
                """
                echo 0 > /proc/sys/net/ipv6/conf/\(Self.interface)/accept_dad || true
                ip link set lo up
                ip addr add \(address(of: node))/24 brd + dev \(Self.interface)
                ip link set \(Self.interface) up
                """,
                on: node
            )
        }
    }

    private func end() async {
        let holders = nodes.withLock { $0 } + (hub.map { [$0] } ?? [])
        for holder in holders { await holder.end() }
        guard hub == nil else { return }
        // This process's own namespace stays, and may get another network.
        let ports = (0..<nodeCount).map { Self.name(of: $0) }
        let names = ports + ports.map(Self.apartBridge) + [Self.bridge]
        let script = names.map { "ip link del \($0) 2>/dev/null || true" } + ["nft flush ruleset"]
        // Not cut short when the work was, either.
        await Task.detached { [self] in
            _ = try? await runInHub(script.joined(separator: "\n"))
        }.value
    }

    /// Where a node is whose cable was lengthened.
    static func apartBridge(_ port: String) -> String { "\(port)-apart" }

    // MARK: - Programs

    private func enter(_ holder: Holder?) -> [String] {
        holder.map { ["nsenter", "--target", "\($0.pid)", "--net", "--"] } ?? []
    }

    /// A command that runs in a node's namespace, with the process id that it is started with.
    package func command(_ command: ChildCommand, on node: Int) -> ChildCommand {
        wrapped(command, in: nodes.withLock { $0[node] })
    }

    /// A command that runs where the bridge is, from where every node is reached.
    package func hubCommand(_ command: ChildCommand) -> ChildCommand {
        wrapped(command, in: hub)
    }

    private func wrapped(_ command: ChildCommand, in holder: Holder?) -> ChildCommand {
        guard let holder else { return command }
        var wrapped = Shell.command(enter(holder) + [command.executable] + command.arguments)
        wrapped.environment.merge(command.environment) { _, given in given }
        wrapped.workingDirectory = command.workingDirectory
        return wrapped
    }

    /// Runs a shell script in a node's namespace; returns what it wrote.
    @discardableResult
    package func run(_ script: String, on node: Int) async throws -> String {
        try await Shell.script(script, enter(nodes.withLock { $0[node] }), guardedBy: guardBinary)
    }

    /// Runs a shell script where the bridge is, whose ports are named as the nodes are.
    @discardableResult
    package func runInHub(_ script: String) async throws -> String {
        try await Shell.script(script, enter(hub), guardedBy: guardBinary)
    }

    // MARK: - What goes wrong

    /// From now on links let through what the rules say, and no other rules hold.
    ///
    /// - Parameter before: the rules until now, to leave alone what does not change.
    package func apply(_ rules: LinkRules, after before: LinkRules) async throws {
        if rules.blocked != before.blocked || rules.loss != before.loss {
            try await runInHub("nft -f - <<'RULES'\n\(rules.firewall)RULES\n")
        }
        for node in 0..<nodeCount where rules.shaping(of: node) != before.shaping(of: node) {
            try await run(rules.shaping(of: node), on: node)
        }
    }

    /// Connects a node to the bridge, or pulls its plug.
    package func setPlugged(_ isPlugged: Bool, node: Int) async throws {
        try await runInHub("ip link set \(Self.name(of: node)) \(isPlugged ? "up" : "down")")
    }

    /// Resets the streams that a node has with others; both ends are told.
    package func resetStreams(of node: Int, with others: [Int]) async throws {
        let addresses = others.filter { $0 != node }.map { "dst \(address(of: $0))" }
        guard !addresses.isEmpty else { return }
        let filter = addresses.joined(separator: " or ")
        try await run("ss -K -t state connected '( \(filter) )'", on: node)
    }
}
