import ArgumentParser
import FoundationEssentials
import Primitives
import Simulator

/// A scenario and the file that it comes from.
struct ScenarioFile: Sendable {
    let path: String
    let scenario: Scenario

    static let suffix = ".sim.json"

    /// Differs if anything in the scenario does.
    var fingerprint: String {
        SimulateCommand.hexadecimal(scenario.json.fnv1a)
    }

    /// Reads a scenario; prints what is wrong with it and exits with 2 if it is none.
    static func read(_ path: String) throws -> ScenarioFile {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw refused("\(path): there is no such file, or it may not be read")
        }
        let bytes = [UInt8](data)
        do throws(ScenarioError) {
            return ScenarioFile(path: path, scenario: try Scenario(json: bytes))
        } catch {
            throw refused("\(path):\(error.position == nil ? " " : "")\(error)")
        }
    }

    /// What was asked for makes no sense: exit code 2.
    static func refused(_ message: String) -> ExitCode {
        Output.writeError(message)
        return ExitCode(2)
    }

    /// The scenario, or all of a folder by name.
    ///
    /// - Parameter withRegressions: those of its `regressions/` come last.
    static func all(at path: String, withRegressions: Bool = false) throws -> [String] {
        var isFolder = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw refused("\(path): there is no such file or folder")
        }
        guard isFolder else { return [path] }
        let files = try names(in: path)
        guard !files.isEmpty else {
            throw refused("\(path): no file there ends with \(suffix)")
        }
        let folder = path.hasSuffix("/") ? path : path + "/"
        let inner = folder + RegressionFile.folder
        let more = withRegressions && FileManager.default.fileExists(atPath: inner)
        return try files.map { folder + $0 } + (more ? all(in: inner) : [])
    }

    private static func all(in folder: String) throws -> [String] {
        try names(in: folder).map { "\(folder)/\($0)" }
    }

    private static func names(in folder: String) throws -> [String] {
        do {
            return try FileManager.default.contentsOfDirectory(atPath: folder)
                .filter { $0.hasSuffix(suffix) }.sorted()
        } catch {
            throw refused("\(folder): cannot be listed: \(error)")
        }
    }
}
