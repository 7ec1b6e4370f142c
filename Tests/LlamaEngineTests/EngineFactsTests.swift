import LlamaRPC
import LlamaEngine
import Primitives
import Testing

/// Excerpts of `--help`, as printed.
enum HelpText {
    static let new = """
        --log-jsonl, --no-log-jsonl             Log as JSONL (one JSON object per line) to stdout, this also disables
        -v,    --verbose, --log-verbose         Set verbosity level to infinity (i.e. log all messages, useful for
        -lv,   --verbosity, --log-verbosity N   Set the verbosity threshold. Messages with a higher verbosity will be
                                                ignored. Values:
                                                 - 4: trace (more info)
                                                 - 5: debug
        --rpc SERVERS                           comma-separated list of RPC servers (host:port)
        -lm,   --load-mode MODE                 model loading mode (default: auto)
        -ts,   --tensor-split N0,N1,N2,...      fraction of the model to offload to each GPU
        -fit,  --fit [on|off]                   whether to adjust unset arguments to fit in device memory ('on' or
        -cram, --cache-ram N                    set the maximum cache size in MiB (default: 8192
        --slots, --no-slots                     expose slots monitoring endpoint (default: enabled)
        """
    static let old = """
        -v,    --verbose, --log-verbose         Set verbosity level to infinity (i.e. log all messages, useful for
                                                debugging)
        -lv,   --verbosity, --log-verbosity N   Set the verbosity threshold. Messages with a higher verbosity will be
                                                ignored.
        --rpc SERVERS                           comma separated list of RPC servers
        --no-mmap                               do not memory-map model (slower load but may reduce pageouts if not
        -ts,   --tensor-split N0,N1,N2,...      fraction of the model to offload to each GPU
        --slots                                 enable slots monitoring endpoint (default: disabled)
        """
    static let rpcNew = """
        Usage: ggml-rpc-server [options]

          -t, --threads N                  number of threads for the CPU device (default: 1)
          -H, --host HOST                  host to bind to (default: 127.0.0.1)
          -c, --cache                      enable local file cache
        """
    static let rpcOld = """
        Usage: ./rpc-server [options]

          -H HOST, --host HOST  host to bind to (default: 127.0.0.1)
          -p PORT, --port PORT  port to bind to (default: 50052)
          -m MEM, --mem MEM     backend memory size (in MB)
        """
}

@Suite struct EngineFactsTests {
    @Test(arguments: [
        ("", []), ("Available devices:\n", []), ("Available devices:\n  (none)\n", []),
        ("error: invalid argument: --list-devices\n  CUDA0: x", []),
        (
            """
            load_backend: loaded CUDA backend from /x.so
            Available devices:
              CUDA0: NVIDIA GeForce RTX 3060 (11909 MiB, 11500 MiB free)
              Vulkan0: Intel(R) Arc(tm) (MTL) (7900 MiB, 7000 MiB free)
              RPC0: 192.0.2.1:50052
            done: 1
            """,
            [
                "CUDA0 NVIDIA GeForce RTX 3060", "Vulkan0 Intel(R) Arc(tm) (MTL)",
                "RPC0 192.0.2.1:50052",
            ]
        ),
    ])
    func `accelerators are listed by name`(list: String, expected: [String]) throws {
        let facts = try #require(
            EngineFacts(
                versionText: "version: 1",
                serverHelp: "",
                rpcServerHelp: "",
                rpcServerBanner: "",
                deviceList: list
            )
        )
        #expect(facts.accelerators == expected)
    }

    @Test func `the short version is without the details of the build`() throws {
        let facts = EngineFacts(
            version: "0.7.0 (build 11669, commit Debian)",
            buildNumber: 11669,
            features: [],
            rpcVersion: nil
        )
        #expect(facts.shortVersion == "0.7.0")
    }

    @Test func `a new engine is understood`() throws {
        let facts = try #require(
            EngineFacts(
                versionText: "version: 0.7.0 (build 11669, commit Debian)\nbuilt with GNU 16.2.0\n",
                serverHelp: HelpText.new,
                rpcServerHelp: HelpText.rpcNew,
                rpcServerBanner: "x\nStarting RPC server v8.0.0\n  endpoint       : none:1\n"
            )
        )
        #expect(facts.version == "0.7.0 (build 11669, commit Debian)")
        #expect(facts.buildNumber == 11669)
        #expect(facts.rpcVersion == RPCVersion(major: 8, minor: 0, patch: 0))
        #expect(
            facts.features == [
                .rpc, .tensorSplit, .loadMode, .fit, .cacheRAM, .verbosityLevels, .jsonLogs,
                .slotsFlag, .weightCache, .rpcThreads,
            ]
        )
        #expect(facts.problems.isEmpty)
    }

    @Test func `an old engine is understood`() throws {
        let facts = try #require(
            EngineFacts(
                versionText: "version: 6527 (a91d035b)\nbuilt with clang version 20.1.8\n",
                serverHelp: HelpText.old,
                rpcServerHelp: HelpText.rpcOld,
                rpcServerBanner: "Starting RPC server v3.6.0\n"
            )
        )
        #expect(facts.buildNumber == 6527)
        #expect(facts.features == [.rpc, .tensorSplit, .noMmap, .slotsFlag])
        #expect(facts.rpcVersion == RPCVersion(major: 3, minor: 6, patch: 0))
    }

    @Test func `an engine without RPC is refused with instructions to build it`() throws {
        let facts = try #require(
            EngineFacts(
                versionText: "version: 6527 (a91d035b)",
                serverHelp: "--no-mmap\n        --rpc-like  no option\n --rpcx\n",
                rpcServerHelp: "",
                rpcServerBanner: "Starting RPC server v3.6.0\n"
            )
        )
        #expect(facts.problems.count == 1)
        #expect(
            facts.problems.first?.contains(
                "cmake -B build -DGGML_RPC=ON -DBUILD_SHARED_LIBS=ON"
            ) == true
        )
    }

    @Test(arguments: [
        "", "Segmentation fault", "Version 3", "error while loading shared libraries",
    ])
    func `something else than llama.cpp is refused`(text: String) {
        let facts = EngineFacts(
            versionText: text,
            serverHelp: HelpText.new,
            rpcServerHelp: "",
            rpcServerBanner: ""
        )
        #expect(facts == nil)
    }
}

@Suite struct EngineCommandTests {
    private let command = LlamaServerCommand(
        modelPath: "/models/my model.gguf",
        httpPort: 8080,
        workers: ["10.99.0.152:60000", "10.99.0.78:60000"],
        tensorSplit: "0.50,0.50",
        contextLength: 1024,
        slotCount: 2
    )

    @Test func `a new engine gets the options it knows`() {
        let features: EngineFacts.Features = [
            .rpc, .tensorSplit, .loadMode, .fit, .cacheRAM, .verbosityLevels, .slotsFlag,
        ]
        #expect(
            command.displayText(for: features)
                == "llama-server -m '/models/my model.gguf' "
                + "--rpc 10.99.0.152:60000,10.99.0.78:60000 --tensor-split 0.50,0.50 "
                + "--load-mode none --host 127.0.0.1 --port 8080 -c 1024 -ngl 999 -np 2 "
                + "--fit off --cache-ram 0 --slots -lv 5"
        )
    }

    @Test func `an old engine gets the options of the reference document`() {
        var command = command
        command.modelPath = "/models/m.gguf"
        command.slotCount = nil
        #expect(
            command.displayText(for: [.rpc, .tensorSplit, .noMmap])
                == "llama-server -m /models/m.gguf "
                + "--rpc 10.99.0.152:60000,10.99.0.78:60000 --tensor-split 0.50,0.50 --no-mmap "
                + "--host 127.0.0.1 --port 8080 -c 1024 -ngl 999 --verbose"
        )
    }

    @Test func `a master alone needs no workers`() {
        var command = command
        command.workers = []
        command.tensorSplit = ""
        command.detail = .summary
        command.extraArguments = ["--threads", "3"]
        let arguments = command.arguments(for: [.rpc, .noMmap])
        #expect(!arguments.contains("--rpc"))
        #expect(!arguments.contains("--tensor-split"))
        #expect(arguments.suffix(2) == ["--threads", "3"])
    }

    @Test func `variables that would change how it is spoken to are removed`() {
        #expect(LlamaServerCommand.environment["LLAMA_API_KEY"] == .some(nil))
        #expect(LlamaServerCommand.environment["GGML_NO_BACKTRACE"] == "1")
    }

    @Test func `the RPC server's command follows its features`() {
        let endpoint = Endpoint(address: .loopback, port: 60000)
        let command = RPCServerCommand(endpoint: endpoint, threadCount: 3, cacheFolder: "/c")
        #expect(
            command.displayText(for: [.rpcThreads, .weightCache])
                == "ggml-rpc-server --host 127.0.0.1 --port 60000 -t 3 -c"
        )
        #expect(command.arguments(for: []) == ["--host", "127.0.0.1", "--port", "60000"])
        #expect(command.environment["GGML_RPC_DEBUG"] == "1")
        #expect(command.environment["LLAMA_CACHE"] == "/c")
        let quiet = RPCServerCommand(endpoint: endpoint, detail: .connections)
        #expect(quiet.environment["GGML_RPC_DEBUG"] == .some(nil))
    }

    @Test func `words are quoted as a shell needs it`() {
        #expect(
            commandText("a", ["", "it's", "x y", "größe/1"]) == "a '' 'it'\\''s' 'x y' größe/1"
        )
    }
}
