import FoundationEssentials
import Primitives
import Processes

/// Whose agents are measured, and how their output is read.
enum BenchAgentKind: Sendable, Equatable {
    ///
    /// Agents of a cluster with a key find it in their state folders.
    case caravan(isOpen: Bool)
    /// hashicorp's, at the path.
    case serf(String)

    var name: String {
        switch self {
        case .caravan: "caravan"
        case .serf: "serf"
        }
    }

    /// - Parameter seed: an agent that runs already.
    func command(
        _ name: String,
        at address: IPAddress,
        seed: IPAddress?,
        folder: String,
        cluster: String
    ) -> ChildCommand {
        switch self {
        case .caravan(let isOpen):
            var arguments = [
                "agent", "--name", name, "--cluster", cluster, "--bind", "\(address)",
                "--state", stateFolder(of: name, in: folder), "--models", "\(folder)/models",
                "--memory", "1GiB",
            ]
            if isOpen { arguments.append("--open") }
            if let seed { arguments += ["--seed", "\(seed)"] }
            // No llama.cpp is looked for: membership is what is measured.
            return ChildCommand(
                executable: ProcessTools.ownPath,
                arguments: arguments,
                environment: ["CARAVAN_HOME": folder, "NO_COLOR": "1"]
            )
        case .serf(let path):
            var arguments = [
                "agent", "-node=\(name)", "-bind=\(address):7946", "-rpc-addr=\(address):7373",
                "-log-level=info",
            ]
            if let seed { arguments.append("-join=\(seed):7946") }
            return ChildCommand(executable: path, arguments: arguments)
        }
    }

    func stateFolder(of name: String, in folder: String) -> String { "\(folder)/\(name)" }

    enum Word: Equatable {
        case joined(String)
        case died(String)
    }

    /// What a line of output says about a member.
    func word(in line: String) -> Word? {
        switch self {
        case .caravan:
            if let name = Self.name(before: " is dead", in: line) { return .died(name) }
            if let name = Self.name(before: " joined at ", in: line) { return .joined(name) }
            return nil
        case .serf:
            if let name = Self.name(after: "EventMemberFailed: ", in: line) { return .died(name) }
            if let name = Self.name(after: "EventMemberJoin: ", in: line) { return .joined(name) }
            return nil
        }
    }

    private static func name(before mark: String, in line: String) -> String? {
        guard let place = line.firstRange(of: mark) else { return nil }
        return line[..<place.lowerBound].split(separator: " ").last.map(String.init)
    }

    private static func name(after mark: String, in line: String) -> String? {
        guard let place = line.firstRange(of: mark) else { return nil }
        return line[place.upperBound...].split(separator: " ").first.map(String.init)
    }
}
