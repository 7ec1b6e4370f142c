import Foundation
import Processes
import Primitives
import Synchronization

/// What the build made beside this test bundle.
enum Built {
    /// Where the bundle and the programs are.
    static let folder: String = {
        let own = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/exe")
        return URL(filePath: own ?? CommandLine.arguments[0]).deletingLastPathComponent().path()
    }()

    static let caravan = URL(filePath: folder).appending(path: "caravan").path()

    /// What dies with this process, however that ends.
    static let guardBinary = ProcessGuard.Binary.path(caravan)

    /// `.build`, or what `--scratch-path` names.
    static let scratch = URL(filePath: folder).deletingLastPathComponent()
        .deletingLastPathComponent().path()

    /// Runs `caravan` to its end.
    static func run(
        _ arguments: [String],
        timeout: Duration = .seconds(30)
    ) async throws -> ChildOutput {
        try await runForOutput(
            ChildCommand(executable: caravan, arguments: arguments),
            guardedBy: guardBinary,
            timeout: timeout
        )
    }
}

/// A folder for everything that this process writes; it goes when the process ends.
enum TestFolder {
    private static let prefix = "caravan-cluster-"

    static let path: String = {
        removeLeftovers()
        let path = FileManager.default.temporaryDirectory
            .appending(path: prefix + "\(ProcessInfo.processInfo.processIdentifier)").path()
        atexit { try? FileManager.default.removeItem(atPath: TestFolder.path) }
        return path
    }()

    /// What a killed test process could not remove.
    private static func removeLeftovers() {
        let parent = FileManager.default.temporaryDirectory
        let names = (try? FileManager.default.contentsOfDirectory(atPath: parent.path())) ?? []
        for name in names where name.hasPrefix(prefix) {
            guard let pid = Int32(name.dropFirst(prefix.count)), !ProcessTable.isRunning(pid) else {
                continue
            }
            try? FileManager.default.removeItem(at: parent.appending(path: name))
        }
    }
}

/// Models made once a process.
enum TestModels {
    static let tiny = "tiny.gguf"
    /// Of `ModelShape.tiny`.
    static let layerCount = 8

    private static let making = Task {
        let folder = TestFolder.path + "/models"
        let output = try await Built.run(["model", "tiny", "\(folder)/\(tiny)"])
        guard output.exit.isSuccess else { throw Problem("no model: \(output.standardError)") }
        return folder
    }

    /// The folder with the models in it.
    static var folder: String { get async throws { try await making.value } }
}

struct Problem: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) {
        self.description = description
    }
}

/// Loopback addresses that no other test, and hardly another test process, uses.
enum Loopback {
    private static let count = Mutex(0)

    /// The first three bytes for one cluster.
    static func network() -> UInt32 {
        let number = count.withLock { count in
            count += 1
            return count
        }
        let pid = Int(ProcessInfo.processInfo.processIdentifier)
        let second = 100 + pid % 100
        let third = (pid / 100 + number * 7) % 256
        return UInt32(127 << 24 | second << 16 | third << 8)
    }
}
