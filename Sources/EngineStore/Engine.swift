package import LlamaEngine
package import Processes

/// One of llama.cpp's programs on this machine, and what it takes to start it.
package struct EngineProgram: Hashable, Sendable {
    /// How a program finds its libraries.
    package enum Start: Hashable, Sendable {
        /// As any other program, with these folders searched for libraries first.
        case direct(libraryFolders: [String])
        /// With a loader and libraries of its own, whatever C library the machine has.
        case bundled(loader: String, libraryFolder: String)
    }

    /// `llama-server`, `ggml-rpc-server`, or the older `rpc-server`.
    package var name: String
    package var path: String
    package var start: Start

    package init(name: String, path: String, start: Start) {
        self.name = name
        self.path = path
        self.start = start
    }

    /// How to start it with these arguments.
    ///
    /// `inheritedLibraryPath` is the `LD_LIBRARY_PATH` of this process, which is kept behind the
    /// folders of an engine of one's own.
    package func command(
        _ arguments: [String],
        environment: [String: String?] = [:],
        inheritedLibraryPath: String? = nil
    ) -> ChildCommand {
        switch start {
        case .direct(let folders):
            var environment = environment
            if !folders.isEmpty {
                let all = folders + (inheritedLibraryPath.map { [$0] } ?? [])
                environment["LD_LIBRARY_PATH"] = all.joined(separator: ":")
            }
            return ChildCommand(executable: path, arguments: arguments, environment: environment)
        case .bundled(let loader, let folder):
            // What is loaded into every program of the machine needs the machine's C library.
            let cleared: [String: String?] = ["LD_PRELOAD": nil, "LD_LIBRARY_PATH": nil]
            return ChildCommand(
                executable: loader,
                arguments: ["--argv0", name, "--library-path", folder, path] + arguments,
                environment: environment.merging(cleared) { _, new in new }
            )
        }
    }
}

/// The two programs of a llama.cpp that belong together, before they were asked anything.
package struct EnginePrograms: Hashable, Sendable {
    package var folder: String
    package var server: EngineProgram
    package var rpcServer: EngineProgram
}

/// A llama.cpp on this machine that a cluster can use.
package struct Engine: Hashable, Sendable {
    package var programs: EnginePrograms
    package var facts: EngineFacts

    /// Where it was found.
    package var folder: String { programs.folder }

    package func command(_ server: LlamaServerCommand) -> ChildCommand {
        programs.server.command(
            server.arguments(for: facts.features),
            environment: LlamaServerCommand.environment
        )
    }

    package func command(_ server: RPCServerCommand) -> ChildCommand {
        programs.rpcServer.command(
            server.arguments(for: facts.features),
            environment: server.environment
        )
    }

    /// `Full command: llama-server -m …`, as the reference document words it.
    package func displayText(_ server: LlamaServerCommand) -> String {
        "Full command: " + server.displayText(for: facts.features)
    }
}
