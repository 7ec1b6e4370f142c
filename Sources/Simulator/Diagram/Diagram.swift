import Primitives

/// One run as its diagram shows it.
package struct DiagramRun: Sendable {
    package var title: String
    /// With the faults that a swarm drew, so that they can be told.
    package var scenario: Scenario
    package var result: SimulationResult
    /// The JSON lines of its trace, each without the line break.
    package var lines: [String]

    package init(scenario: Scenario, result: SimulationResult, lines: [String]) {
        title = "\(scenario.name), seed \(result.seed)"
        self.scenario = scenario.drawingSwarm(seed: result.seed)
        self.result = result
        self.lines = lines
    }

    /// Runs a scenario and keeps its trace.
    package init(scenario: Scenario, seed: UInt64) {
        var lines: [String] = []
        let result = Simulation(scenario: scenario, seed: seed) { lines.append($0) }.run()
        self.init(scenario: scenario, result: result, lines: lines)
    }
}

/// Space-time diagrams: one HTML file that needs nothing else, neither network nor server.
///
/// Its parts are compiled into the binary: diagram.html, diagram.css, model.js (what the lines
/// say), lanes.js, messages.js and overview.js (the picture), moving.js and choosing.js (what one
/// does with it), and page.js, which builds everything and comes last.
package enum Diagram {
    /// The diagram of one run, or of two next to each other with their first difference marked.
    package static func html(runs: [DiagramRun]) -> String {
        let title = runs.map(\.title).joined(separator: " and ")
        let scripts = [
            PackageResources.model_js, PackageResources.lanes_js, PackageResources.messages_js,
            PackageResources.overview_js, PackageResources.moving_js,
            PackageResources.choosing_js, PackageResources.page_js,
        ]
        return filled(
            text(PackageResources.diagram_html),
            [
                "title": escaped(title),
                "style": text(PackageResources.diagram_css),
                "data": data(of: runs),
                "script": "\"use strict\";\n" + scripts.map(text).joined(separator: "\n"),
            ]
        )
    }

    /// Each piece goes in as it is: what looks like a placeholder within one is left alone.
    private static func filled(_ template: String, _ pieces: [String: String]) -> String {
        var result = ""
        var rest = Substring(template)
        while let start = rest.firstRange(of: "{{"),
            let end = rest[start.upperBound...].firstRange(of: "}}")
        {
            result += rest[..<start.lowerBound]
            result += pieces[String(rest[start.upperBound..<end.lowerBound])] ?? ""
            rest = rest[end.upperBound...]
        }
        return result + rest
    }

    private static func data(of runs: [DiagramRun]) -> String {
        let facts = runs.map(\.facts.json).joined(separator: ",\n")
        var result = script(id: "facts", type: "application/json", [UInt8]("[\(facts)]".utf8))
        for (index, run) in runs.enumerated() {
            var bytes: [UInt8] = []
            for line in run.lines {
                bytes += line.utf8
                bytes.append(0x0A)
            }
            result += script(id: "trace-\(index)", type: "application/x-ndjson", bytes)
        }
        return result
    }

    /// JSON that no browser takes for markup: `<` appears within its texts only, where it may be
    /// written as an escape.
    private static func script(id: String, type: String, _ json: [UInt8]) -> String {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(json.count + 128)
        for byte in json {
            if byte == UInt8(ascii: "<") { bytes += #"\u003c"#.utf8 } else { bytes.append(byte) }
        }
        return "<script type=\"\(type)\" id=\"\(id)\">\n" + text(bytes) + "\n</script>\n"
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            case "\"": result += "&quot;"
            default: result.append(character)
            }
        }
        return result
    }

    private static func text(_ bytes: [UInt8]) -> String {
        String(decoding: bytes, as: UTF8.self)
    }
}
