package import LlamaEngine
package import Processes

/// Asks the programs of an engine what they are and what they can.
package struct EngineProbe: Sendable {
    /// The first start reads some 40 MB from a disk that may be slow.
    private static let timeout = Duration.seconds(30)

    package var guardBinary: ProcessGuard.Binary

    package init(guardedBy guardBinary: ProcessGuard.Binary = .ownExecutable) {
        self.guardBinary = guardBinary
    }

    /// Runs `--version`, `--help` and `--list-devices`, and starts the RPC server with an address
    /// that it refuses, right after it has printed its version; takes about 0.1 s and no port.
    package func facts(of programs: EnginePrograms) async throws -> EngineFacts {
        async let version = text(of: programs.server, ["--version"])
        async let help = text(of: programs.server, ["--help"])
        async let rpcHelp = text(of: programs.rpcServer, ["--help"])
        async let banner = text(of: programs.rpcServer, RPCServerCommand.bannerArguments)
        async let devices = text(of: programs.server, ["--list-devices"])
        let versionText = try await version
        guard
            let facts = EngineFacts(
                versionText: versionText,
                serverHelp: try await help,
                rpcServerHelp: try await rpcHelp,
                rpcServerBanner: try await banner,
                // Old versions do not know the option, and an engine can do without the names.
                deviceList: (try? await devices) ?? ""
            )
        else {
            let said = versionText.split(separator: "\n").last ?? "nothing"
            throw EngineError.unusable(
                path: programs.server.path,
                reason: "it does not tell llama.cpp's version; it says: \(said)"
            )
        }
        return facts
    }

    /// Turns the programs into an engine, or says why a cluster cannot use them.
    package func engine(of programs: EnginePrograms) async throws -> Engine {
        let facts = try await facts(of: programs)
        guard facts.features.contains(.rpc) else {
            throw EngineError.withoutRPC(path: programs.server.path, version: facts.version)
        }
        guard facts.rpcVersion != nil else {
            throw EngineError.unusable(
                path: programs.rpcServer.path,
                reason: "it does not start as an RPC server"
            )
        }
        return Engine(programs: programs, facts: facts)
    }

    private func text(of program: EngineProgram, _ arguments: [String]) async throws -> String {
        do {
            let output = try await runForOutput(
                program.command(arguments, environment: LlamaServerCommand.environment),
                guardedBy: guardBinary,
                timeout: Self.timeout
            )
            if case .signalled(let number) = output.exit {
                throw EngineError.unusable(
                    path: program.path,
                    reason: "it crashes with signal \(number)"
                )
            }
            return output.standardOutput + "\n" + output.standardError
        } catch let error as ChildOutputError {
            throw EngineError.unusable(path: program.path, reason: "\(error)")
        }
    }
}
