import ArgumentParser
import FoundationEssentials
import Simulator

/// A scenario and the file that it comes from.
struct ScenarioFile: Sendable {
    let path: String
    let scenario: Scenario

    static let suffix = ".sim.json"

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
    static func all(at path: String) throws -> [String] {
        var isFolder = false
        guard FileManager.default.fileExists(atPath: path, isDirectory: &isFolder) else {
            throw refused("\(path): there is no such file or folder")
        }
        guard isFolder else { return [path] }
        let names = (try? FileManager.default.contentsOfDirectory(atPath: path)) ?? []
        let files = names.filter { $0.hasSuffix(suffix) }.sorted()
        guard !files.isEmpty else {
            throw refused("\(path): no file there ends with \(suffix)")
        }
        let folder = path.hasSuffix("/") ? path : path + "/"
        return files.map { folder + $0 }
    }
}
