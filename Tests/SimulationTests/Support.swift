import Foundation
import Simulator

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
