internal import LlamaEngine

/// Why there is no engine, in words that say what to do next.
package enum EngineError: Error, Hashable, Sendable {
    /// Nothing was found; with every place that was looked at.
    case notFound(places: [String])
    /// A place that was named by the user, or that holds only one of the two programs.
    case incomplete(folder: String, missing: String)
    /// A program that cannot be run, or that is not llama.cpp.
    case unusable(path: String, reason: String)
    case withoutRPC(path: String, version: String)
    case toolMissing(String)
    case noMirror(filesRead: [String])
    case noKeyring
    case unreachable(details: String)
    case notOffered(suites: [String])
    case installFailed(step: String, reason: String)
    case alreadyInstalling(lock: String)
}

extension EngineError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notFound(let places):
            "no llama.cpp engine found. Looked at:\n"
                + places.map { "  \($0)\n" }.joined()
                + "Run `caravan engine install`, or name the folder of your own build with "
                + "--engine or CARAVAN_ENGINE."
        case .incomplete(let folder, let missing):
            "\(folder) has no \(missing). Run `caravan engine install`, or build llama.cpp with "
                + "RPC support:\n\(EngineFacts.buildInstructions)"
        case .unusable(let path, let reason):
            "\(path) cannot be used: \(reason)"
        case .withoutRPC(let path, let version):
            "\(path) (\(version)) has no --rpc: it was built without RPC support. Run `caravan "
                + "engine install`, or build llama.cpp again:\n\(EngineFacts.buildInstructions)"
        case .toolMissing(let tool):
            "\(tool) is missing: `caravan engine install` works on Debian and needs it. "
                + Self.ownBuildAdvice
        case .noMirror(let files):
            "no mirror of Debian's main archive is configured (read: "
                + (files.isEmpty ? "no file" : files.joined(separator: ", "))
                + "). Add one to the package sources of this machine. " + Self.ownBuildAdvice
        case .noKeyring:
            "Debian's archive keyring is missing, without which no download can be trusted: "
                + "install the package debian-archive-keyring."
        case .unreachable(let details):
            "the package mirror of this machine could not be read: \(details)\nCheck the network "
                + "and try again, or install from a folder that was filled before with --cache."
        case .notOffered(let suites):
            "the mirror offers no llama.cpp with RPC support for this kind of machine in "
                + suites.joined(separator: " or ") + ". " + Self.ownBuildAdvice
        case .installFailed(let step, let reason):
            "\(step) failed: \(reason)"
        case .alreadyInstalling(let lock):
            "another `caravan engine install` is at work (it holds \(lock)); wait for it to end."
        }
    }

    private static let ownBuildAdvice =
        "Or build llama.cpp yourself, and name its folder with --engine or CARAVAN_ENGINE:\n"
        + EngineFacts.buildInstructions
}
