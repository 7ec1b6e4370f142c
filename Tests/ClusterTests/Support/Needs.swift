import Foundation
import Testing

/// Skips tests, with the reason, where something that they need is not to be had.
///
/// Asked before any test runs: such a test is reported as skipped and is never begun.
struct Needs: TestTrait, SuiteTrait {
    fileprivate let find: @Sendable () async throws -> Void

    var isRecursive: Bool { true }

    func prepare(for test: Test) async throws {
        do {
            try await find()
        } catch {
            try Test.cancel("\(error)")
        }
    }
}

extension Trait where Self == Needs {
    /// The real llama.cpp, and so time and memory.
    static var needsEngine: Self {
        Needs { _ = try await TestEngine.folder }
    }

    /// tcpdump, and the right to use it.
    static var needsCapture: Self {
        Needs {
            guard FileManager.default.isExecutableFile(atPath: "/usr/bin/tcpdump") else {
                throw Problem("no tcpdump: apt-get install tcpdump")
            }
        }
    }

    /// A Python interpreter with the package `openai`.
    static var needsOpenAIClient: Self {
        Needs { _ = try await PythonClient.interpreter }
    }

    /// Network namespaces, which take root.
    static var needsNamespaces: Self {
        Needs { try await NamespaceCluster.check() }
    }
}
