import LlamaRPC
import LlamaEngine
import Processes
import Testing

@testable import EngineStore

@Suite struct EngineLocatorTests {
    private let root: TemporaryFolder

    init() throws {
        root = try TemporaryFolder()
    }

    private func locator(
        explicit: String? = nil,
        environment: [String: String] = [:]
    ) -> EngineLocator {
        EngineLocator(
            explicitFolder: explicit,
            installFolder: root.path + "/state/engine",
            environment: environment,
            guardedBy: .none
        )
    }

    @Test func `an explicit folder wins over all others`() async throws {
        try root.writeEngine(in: "a")
        try root.writeEngine(in: "b", version: "7000 (b)")
        let environment = ["CARAVAN_ENGINE": root.path + "/b", "PATH": root.path + "/b"]
        let first = locator(explicit: root.path + "/a", environment: environment)
        #expect(try await first.locate().facts.buildNumber == 6527)
        #expect(try await locator(environment: environment).locate().facts.buildNumber == 7000)
    }

    @Test func `an explicit folder that is wrong is an error, and nothing else is tried`()
        async throws
    {
        try root.writeEngine(in: "good")
        let wrong = locator(
            explicit: root.path + "/none",
            environment: ["PATH": root.path + "/good"]
        )
        await #expect(throws: EngineError.self) { try await wrong.locate() }
    }

    @Test func `the folder of a build, or of its sources, is understood, with the old name`()
        async throws
    {
        try root.writeEngine(in: "home/llama.cpp/build/bin", rpcServerName: "rpc-server")
        let tree = try await locator(explicit: root.path + "/home/llama.cpp").locate()
        #expect(tree.programs.rpcServer.name == "rpc-server")
        #expect(tree.facts.rpcVersion == RPCVersion(major: 3, minor: 6, patch: 0))
        #expect(tree.facts.features == [.rpc, .weightCache])
        let home = try await locator(environment: ["HOME": root.path + "/home"]).locate()
        #expect(home == tree)
    }

    @Test func `an own build's libraries are found, in front of those inherited`() async throws {
        try root.writeEngine(in: "llama.cpp/build/bin")
        try root.write("llama.cpp/build/src/libllama.so", "")
        let engine = try await locator(explicit: root.path + "/llama.cpp/build/bin").locate()
        let folder = root.path + "/llama.cpp/build/src"
        let server = engine.programs.server
        #expect(server.start == .direct(libraryFolders: [folder]))
        let command = server.command(["-m"], inheritedLibraryPath: "/x")
        #expect(command.environment["LD_LIBRARY_PATH"] == folder + ":/x")
    }

    @Test func `an installed engine is started with its own loader`() async throws {
        try root.writeEngine(in: "state/engine/lib")
        // Stands in for the loader: runs the program that follows its own options.
        let loader = "#!/bin/sh\nshift 4\nexec \"$@\"\n"
        try root.write("state/engine/lib/ld-linux-aarch64.so.1", loader, executable: true)
        let engine = try await locator().locate()
        let library = root.path + "/state/engine/lib"
        let command = engine.programs.rpcServer.command(["-p", "1"])
        #expect(command.executable == library + "/ld-linux-aarch64.so.1")
        #expect(
            command.arguments == [
                "--argv0", "ggml-rpc-server", "--library-path", library,
                library + "/ggml-rpc-server", "-p", "1",
            ]
        )
        #expect(command.environment["LD_PRELOAD"] == .some(nil))
        // Its folder of programs is named as easily as the one above.
        for name in [library, library + "/"] {
            let named = try await locator(explicit: name).locate()
            #expect(named.programs.rpcServer.command(["-p", "1"]).arguments == command.arguments)
        }
    }

    @Test func `an engine without RPC is refused with instructions`() async throws {
        try root.writeEngine(in: "a", help: "--no-mmap  x")
        let error = await #expect(throws: EngineError.self) {
            try await locator(explicit: root.path + "/a").locate()
        }
        #expect("\(error, default: "")".contains("-DGGML_RPC=ON"))
    }

    @Test func `a broken engine on the path is passed over for a good one`() async throws {
        try root.write("broken/llama-server", "#!/bin/sh\nexit 1\n", executable: true)
        try root.write("broken/rpc-server", "#!/bin/sh\nexit 1\n", executable: true)
        try root.writeEngine(in: "good")
        let path = root.path + "/broken:relative::" + root.path + "/good"
        let engine = try await locator(environment: ["PATH": path]).locate()
        #expect(engine.folder == root.path + "/good")
        let onlyBroken = locator(environment: ["PATH": root.path + "/broken"])
        await #expect(throws: EngineError.self) { try await onlyBroken.locate() }
    }

    @Test func `when nothing is found, every place is named`() async {
        let check = await EngineCheck.run(
            locator(environment: ["PATH": root.path + "/p", "HOME": root.path + "/h"])
        )
        // A machine that has Debian's llama.cpp packages has an engine.
        guard case .unusable(let reason) = check.verdict else { return }
        for part in [
            "state/engine", "/p (PATH)", "/h/llama.cpp/build/bin", "caravan engine install",
        ] {
            #expect(reason.contains(part))
        }
        #expect(check.rows.map(\.label) == ["engine", "problem"])
    }

    @Test func `a check of a good engine tells versions and options`() async throws {
        try root.writeEngine(in: "a")
        let check = await EngineCheck.run(locator(explicit: root.path + "/a"))
        #expect(check.isUsable)
        let rows = check.rows.map { "\($0.label): \($0.value)" }
        #expect(rows.contains("version: 6527 (a91d035b)"))
        #expect(rows.contains("RPC version: 3.6.0"))
        #expect(rows.contains("options: --rpc"))
    }
}
