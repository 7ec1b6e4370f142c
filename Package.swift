// swift-tools-version: 6.2
import PackageDescription

let settings: [SwiftSetting] = [
    .swiftLanguageMode(.v6),
    .enableUpcomingFeature("ExistentialAny"),
    .enableUpcomingFeature("InternalImportsByDefault"),
    .enableUpcomingFeature("MemberImportVisibility"),
    .enableUpcomingFeature("NonisolatedNonsendingByDefault"),
    .enableUpcomingFeature("InferIsolatedConformances"),
    .enableUpcomingFeature("ImmutableWeakCaptures"),
    .strictMemorySafety(),
    .treatAllWarnings(as: .error),
    // The machines, the actors and the simulated world are modules of their own, and run millions
    // of times a second: without this nothing small is inlined from one into the other. Overlapping
    // accesses are looked for in debug builds, in which all tests and many simulations run.
    .unsafeFlags(
        ["-cross-module-optimization", "-enforce-exclusivity=unchecked"],
        .when(configuration: .release)
    ),
]

/// A module of our own, with the settings that every module shares.
func module(
    _ name: String,
    _ dependencies: [Target.Dependency] = [],
    resources: [Resource] = []
) -> Target {
    .target(
        name: name,
        dependencies: dependencies,
        resources: resources,
        swiftSettings: settings
    )
}

func tests(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
    .testTarget(name: name, dependencies: dependencies, swiftSettings: settings)
}

func product(_ name: String, _ package: String) -> Target.Dependency {
    .product(name: name, package: package)
}

let nio = product("NIOCore", "swift-nio")
let nioPosix = product("NIOPosix", "swift-nio")
let nioHTTP1 = product("NIOHTTP1", "swift-nio")

let package = Package(
    name: "caravan",
    platforms: [.macOS(.v26)],
    products: [
        .executable(name: "caravan", targets: ["caravan"])
    ],
    traits: [
        .trait(
            name: "Journald",
            description: "Write structured logs to systemd-journald; needs libsystemd-dev."
        ),
        .trait(
            name: "Mutants",
            description: "Faults to plant on purpose, which the simulator must find; for tests."
        ),
        .trait(
            name: "Fuzzing",
            description: "The product fuzz is a fuzzer; needs --sanitize fuzzer (.ci/fuzz)."
        ),
        .default(enabledTraits: []),
    ],
    dependencies: [
        .package(
            url: "https://github.com/hummingbird-project/hummingbird",
            from: "2.28.1",
            traits: []
        ),
        .package(url: "https://github.com/apple/swift-nio", from: "2.101.2"),
        .package(url: "https://github.com/apple/swift-nio-extras", from: "1.35.2"),
        .package(url: "https://github.com/apple/swift-http-types", from: "1.8.0"),
        .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.2"),
        .package(url: "https://github.com/apple/swift-log", from: "1.16.2"),
        .package(url: "https://github.com/swiftlang/swift-subprocess", from: "1.0.2", traits: []),
        .package(url: "https://github.com/apple/swift-system", from: "1.8.1"),
        .package(url: "https://github.com/apple/swift-collections", from: "1.6.0"),
        .package(url: "https://github.com/apple/swift-crypto", from: "4.5.2"),
    ],
    targets: [
        // Pure modules: no clock, socket, file, log or global randomness.
        module("Primitives"),
        module("SWIM", ["Primitives"]),
        module("LeaderElection", ["Primitives"]),
        module("GGUF", ["Primitives"]),
        module("LayerPlacement", ["Primitives", "GGUF"]),
        module("Supervision", ["Primitives"]),
        module("Diagnosis"),
        module("LlamaRPC", ["Primitives"]),
        module("LlamaEngine", ["LlamaRPC", "Primitives"]),
        module(
            "TensorPieces",
            [
                "LlamaRPC", "Primitives", product("Crypto", "swift-crypto"),
                product("DequeModule", "swift-collections"),
            ]
        ),
        module("Wire", ["Primitives", "SWIM", "LeaderElection", "LayerPlacement"]),

        // The actors, and the loop they run on.
        module("EventLoop", ["Primitives"]),
        module(
            "Runtime",
            [
                "EventLoop", "Primitives", "SWIM", "LeaderElection", "GGUF", "LayerPlacement",
                "Supervision", "LlamaRPC", "LlamaEngine", "Wire",
            ]
        ),

        // The simulated world.
        .target(name: "CSimulation"),
        module(
            "Simulator",
            [
                "CSimulation", "EventLoop", "GGUF", "LayerPlacement", "LeaderElection",
                "LlamaRPC", "Primitives", "Runtime", "SWIM", "Supervision", "Wire",
            ],
            resources: [
                .embedInCode("Diagram/diagram.html"), .embedInCode("Diagram/diagram.css"),
                .embedInCode("Diagram/model.js"), .embedInCode("Diagram/lanes.js"),
                .embedInCode("Diagram/messages.js"), .embedInCode("Diagram/overview.js"),
                .embedInCode("Diagram/moving.js"), .embedInCode("Diagram/choosing.js"),
                .embedInCode("Diagram/page.js"),
            ]
        ),

        // The real world.
        .target(name: "CPosix"),
        module("SecureChannel", ["Primitives", product("Crypto", "swift-crypto")]),
        module("Sockets", ["CPosix", "EventLoop", "Primitives", "SecureChannel"]),
        module(
            "Processes",
            [
                "CPosix", "Primitives", product("Subprocess", "swift-subprocess"),
                product("SystemPackage", "swift-system"),
            ]
        ),
        module(
            "Namespaces",
            [
                "CPosix", "Primitives", "Processes",
                product("DequeModule", "swift-collections"),
                product("SystemPackage", "swift-system"),
            ]
        ),
        module("EngineStore", ["LlamaEngine", "LlamaRPC", "Primitives", "Processes"]),
        module(
            "TensorStore",
            [
                "CPosix", "GGUF", "Primitives", "TensorPieces",
                product("SystemPackage", "swift-system"),
            ]
        ),
        .systemLibrary(
            name: "CSystemd",
            pkgConfig: "libsystemd",
            providers: [.apt(["libsystemd-dev"])]
        ),
        module(
            "Telemetry",
            [
                "CPosix", "Primitives", product("Logging", "swift-log"),
                .target(
                    name: "CSystemd",
                    condition: .when(platforms: [.linux], traits: ["Journald"])
                ),
            ]
        ),
        module(
            "Gateway",
            [
                "Diagnosis", "Primitives", product("HummingbirdCore", "hummingbird"),
                product("HTTPTypes", "swift-http-types"), product("Logging", "swift-log"),
                product("NIOHTTPTypes", "swift-nio-extras"),
                product("NIOHTTPTypesHTTP1", "swift-nio-extras"), nio, nioPosix, nioHTTP1,
            ],
            resources: [.embedInCode("Dashboard/index.html")]
        ),

        // Composition.
        module(
            "Agent",
            [
                "Diagnosis", "EngineStore", "EventLoop", "GGUF", "Gateway", "LayerPlacement",
                "LeaderElection",
                "LlamaEngine", "LlamaRPC", "Primitives", "Processes", "Runtime", "SWIM",
                "SecureChannel",
                "Sockets", "Supervision", "Telemetry", "TensorPieces", "TensorStore", "Wire",
                "CPosix",
                product("Logging", "swift-log"),
                product("Crypto", "swift-crypto"), product("SystemPackage", "swift-system"),
            ]
        ),
        // Scenarios of the simulator on real sockets.
        module(
            "Replay",
            ["Gateway", "LeaderElection", "Namespaces", "Primitives", "Processes", "Simulator"]
        ),
        .executableTarget(
            name: "caravan",
            dependencies: [
                "Agent", "Diagnosis", "EngineStore", "EventLoop", "GGUF", "Gateway", "LlamaEngine",
                "Primitives", "Processes", "SWIM", "SecureChannel", "Simulator", "Sockets",
                "Telemetry", "TensorStore",
                product("SystemPackage", "swift-system"),
                product("ArgumentParser", "swift-argument-parser"),
                "Namespaces", "Replay",
            ],
            swiftSettings: settings
        ),

        // Readers of outside bytes, fed with any bytes: by a fuzzer, and by tests with its corpus.
        .target(
            name: "FuzzTargets",
            dependencies: [
                "Agent", "EngineStore", "GGUF", "Gateway", "LlamaEngine", "LlamaRPC", "Primitives",
                "Processes", "SecureChannel", "Simulator", "Telemetry", "TensorPieces", "Wire",
                nio,
            ],
            path: "Tests/Fuzz/Targets",
            swiftSettings: settings
        ),
        .executableTarget(
            name: "fuzz",
            dependencies: ["FuzzTargets"],
            path: "Tests/Fuzz/Fuzzer",
            swiftSettings: settings
        ),
        tests("FuzzTests", ["FuzzTargets"]),
        tests("NamespacesTests", ["Namespaces", "Primitives"]),
        tests("ReplayTests", ["Replay", "Namespaces", "Primitives", "Simulator"]),

        tests("PrimitivesTests", ["Primitives"]),
        // What tests of several machines share: virtual time.
        .target(
            name: "VirtualTime",
            dependencies: ["Primitives"],
            path: "Tests/VirtualTime",
            swiftSettings: settings
        ),
        tests("SWIMTests", ["SWIM", "Primitives", "VirtualTime"]),
        tests("LeaderElectionTests", ["LeaderElection", "Primitives", "VirtualTime"]),
        tests("GGUFTests", ["GGUF", "Primitives"]),
        tests(
            "LayerPlacementTests",
            ["LayerPlacement", "GGUF", "Primitives", "VirtualTime"]
        ),
        tests("SupervisionTests", ["Supervision", "Primitives"]),
        tests("LlamaRPCTests", ["LlamaRPC", "Primitives"]),
        tests("TensorPiecesTests", ["LlamaRPC", "Primitives", "TensorPieces"]),
        tests("TensorStoreTests", ["GGUF", "Primitives", "TensorPieces", "TensorStore"]),
        tests("LlamaEngineTests", ["LlamaEngine", "LlamaRPC", "Primitives"]),
        tests(
            "WireTests",
            ["Wire", "SWIM", "LeaderElection", "LayerPlacement", "Primitives"]
        ),
        tests("SimulationTests", ["Simulator", "SWIM", "Primitives", "Processes", "caravan"]),
        tests(
            "SecureChannelTests",
            ["SecureChannel", "Primitives", product("Crypto", "swift-crypto")]
        ),
        tests("SocketsTests", ["Sockets", "EventLoop", "Primitives", "SecureChannel"]),
        tests("ProcessesTests", ["Processes", "Primitives", "caravan"]),
        tests(
            "EngineStoreTests",
            ["EngineStore", "LlamaEngine", "LlamaRPC", "Processes", "Primitives"]
        ),
        tests(
            "AgentTests",
            [
                "Agent", "Diagnosis", "EventLoop", "Gateway", "LlamaRPC", "Primitives",
                "Processes", "SecureChannel", "Sockets", "TensorPieces", "TensorStore", "Wire",
            ]
        ),
        tests("DiagnosisTests", ["Diagnosis"]),
        tests("TelemetryTests", ["Telemetry", "Primitives", product("Logging", "swift-log")]),
        tests(
            "GatewayTests",
            [
                "Diagnosis", "Gateway", "Primitives", product("Logging", "swift-log"), nio,
                nioPosix, nioHTTP1,
            ]
        ),
        tests(
            "ClusterTests",
            [
                "Namespaces",
                "caravan", "EngineStore", "Gateway", "GGUF", "Primitives", "Processes", nio,
                nioPosix, product("NIOConcurrencyHelpers", "swift-nio"),
            ]
        ),
    ]
)
