import Foundation
import Simulator
import Testing

/// The repository's scenarios.
let simulationsFolder = URL(filePath: #filePath)
    .deletingLastPathComponent().deletingLastPathComponent().deletingLastPathComponent()
    .appending(path: "Simulations")

func scenario(_ json: String) throws -> Scenario {
    try Scenario(json: Array(json.utf8))
}

func storedScenario(_ name: String) throws -> Scenario {
    let file = simulationsFolder.appending(path: "\(name).sim.json")
    return try Scenario(json: [UInt8](Data(contentsOf: file)))
}

/// What is wrong with a text that is no scenario; nil if nothing is.
func problem(_ json: String) -> String? {
    do throws(ScenarioError) {
        _ = try Scenario(json: Array(json.utf8))
        return nil
    } catch {
        return "\(error)"
    }
}

struct CommandRun {
    let status: Int32
    let output: String
    let errors: String
}

/// Runs the command that was built beside the tests.
func caravan(
    _ arguments: [String],
    environment: [String: String] = [:]
) throws -> CommandRun {
    let bundle = try #require(
        CommandLine.arguments.first { $0.hasSuffix(".xctest") || $0.contains(".xctest/") }
    )
    let folder = try #require(bundle.firstRange(of: ".xctest")).lowerBound
    let process = Process()
    process.executableURL = URL(filePath: String(bundle[..<folder]))
        .deletingLastPathComponent().appending(path: "caravan")
    process.arguments = arguments
    process.environment = environment
    let output = Pipe()
    process.standardOutput = output
    // A file: with two pipes one could fill up while the other is read.
    let errors = URL.temporaryDirectory.appending(path: "errors-\(UUID().uuidString)")
    _ = FileManager.default.createFile(atPath: errors.path(), contents: nil)
    defer { try? FileManager.default.removeItem(at: errors) }
    process.standardError = try FileHandle(forWritingTo: errors)
    try process.run()
    let data = output.fileHandleForReading.readDataToEndOfFile()
    process.waitUntilExit()
    return CommandRun(
        status: process.terminationStatus,
        output: String(decoding: data, as: UTF8.self),
        errors: try String(contentsOf: errors, encoding: .utf8)
    )
}
