import Foundation
import LlamaEngine
import Processes
import Synchronization
import Testing

@testable import EngineStore

@Suite struct EngineInstallerTests {
    @Test func `a working engine is not installed again`() async throws {
        let root = try TemporaryFolder()
        try root.writeEngine(in: "engine/lib")
        let loader = "#!/bin/sh\nshift 4\nexec \"$@\"\n"
        try root.write("engine/lib/ld-linux-x86-64.so.2", loader, executable: true)
        let phases = Mutex<[InstallProgress.Phase]>([])
        let installer = EngineInstaller(into: root.path + "/engine/", guardedBy: .none) {
            progress in
            phases.withLock { $0.append(progress.phase) }
        }
        #expect(try await installer.install().folder == root.path + "/engine")
        #expect(phases.withLock { $0 } == [.alreadyInstalled])
    }

    @Test func `a second installer is told that the first is at work`() async throws {
        let root = try TemporaryFolder()
        let lock = try FileLock(path: root.path + "/engine.lock")
        #expect(lock != nil)
        await #expect(throws: EngineError.alreadyInstalling(lock: root.path + "/engine.lock")) {
            try await EngineInstaller(into: root.path + "/engine", guardedBy: .none).install()
        }
        withExtendedLifetime(lock) {}
    }

    @Test func `a cache counts as complete only with every package, unchanged`() async throws {
        let root = try TemporaryFolder()
        let cache = PackageCache(folder: root.path, architecture: "amd64", guardBinary: .none)
        #expect(try await cache.completeFiles() == nil)
        let names = (PackageDownload.packages + ["libc6"]).map { "\($0)_1%3a2_amd64.deb" }
        for name in names { try root.write(name, name) }
        try await cache.seal(names)
        #expect(try await cache.completeFiles() == names.sorted())
        try root.write(names[0], "damaged")
        #expect(try await cache.completeFiles() == nil)
        try root.write(names[0], names[0])
        try await cache.seal([names[0]])
        #expect(try await cache.completeFiles() == nil)
    }

    /// Needs a folder that `caravan engine install --cache` has filled; no network.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["CARAVAN_TEST_PACKAGES"] != nil))
    func `an engine is installed from a cache, and is found`() async throws {
        let root = try TemporaryFolder()
        let cache = try #require(ProcessInfo.processInfo.environment["CARAVAN_TEST_PACKAGES"])
        let folder = root.path + "/state/engine"
        let installer = EngineInstaller(into: folder, cache: cache, guardedBy: .none)
        let engine = try await installer.install()
        #expect(engine.facts.features.contains(.rpc))
        let leftOver = try FileManager.default.contentsOfDirectory(atPath: root.path + "/state")
        #expect(leftOver.sorted() == ["engine", "engine.lock"])
        let locator = EngineLocator(installFolder: folder, environment: [:], guardedBy: .none)
        #expect(try await locator.locate() == engine)
    }
}
