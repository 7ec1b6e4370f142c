import FoundationEssentials
import Primitives
import Simulator

/// A failure as people and programs are told of it.
struct SweepFailures: Sendable {
    let scenario: String
    let path: String
    let seed: UInt64
    let violation: Violation
    let repeating: String
    /// Where the shrunken scenario is, if there is one.
    let shrunken: String?
    let commit: String

    private static let shrinkLimit: Duration = .seconds(5)

    /// The failures of one scenario; of each property the first is shrunk.
    static func described(
        _ summary: SweepSummary,
        of file: ScenarioFile,
        shrinks: Bool
    ) -> [SweepFailures] {
        guard !summary.failures.isEmpty else { return [] }
        let commit = Commit.current
        var seen: [String] = []
        var failures: [SweepFailures] = []
        for failure in summary.failures {
            let isFirst = !seen.contains(failure.violation.invariant)
            guard isFirst || failures.count < SweepSummary.failureLimit else { continue }
            seen.append(failure.violation.invariant)
            failures.append(
                SweepFailures(
                    scenario: file.scenario.name,
                    path: file.path,
                    seed: failure.seed,
                    violation: failure.violation,
                    repeating: SimulateCommand.repeating(file, seed: failure.seed),
                    shrunken: isFirst && shrinks ? shrink(file, seed: failure.seed) : nil,
                    commit: commit
                )
            )
        }
        return failures
    }

    private static func shrink(_ file: ScenarioFile, seed: UInt64) -> String? {
        let clock = ContinuousClock()
        let start = clock.now
        let outcome = Shrinker.shrink(file.scenario, seed: seed) {
            clock.now - start < shrinkLimit
        }
        return outcome.flatMap { try? RegressionFile.write($0, of: file, seed: seed, to: nil) }
    }

    var line: String {
        var line = "\(violation) — commit \(commit), seed \(seed): \(repeating)"
        if let shrunken { line += " — shrunken: \(shrunken)" }
        return line
    }

    /// What GitHub shows at the scenario's file.
    var annotation: String {
        let title = Self.escaped("\(violation.invariant) violated, seed \(seed)", isProperty: true)
        let file = Self.escaped(path, isProperty: true)
        return "::error file=\(file),title=\(title)::\(Self.escaped(line, isProperty: false))"
    }

    private static func escaped(_ text: String, isProperty: Bool) -> String {
        var result = ""
        for character in text.unicodeScalars {
            switch character {
            case "%": result += "%25"
            case "\r": result += "%0D"
            case "\n": result += "%0A"
            case ":" where isProperty: result += "%3A"
            case "," where isProperty: result += "%2C"
            default: result.unicodeScalars.append(character)
            }
        }
        return result
    }
}

/// The commit of the folder that a command is run in, read from `.git` without git.
enum Commit {
    static var current: String {
        var folder = FileManager.default.currentDirectoryPath
        while true {
            if let head = read("\(folder)/.git/HEAD") {
                return short(resolve(head, in: "\(folder)/.git"))
            }
            guard let slash = folder.lastIndex(of: "/") else { return "unknown" }
            folder = String(folder[..<slash])
        }
    }

    private static func resolve(_ head: String, in git: String) -> String? {
        guard head.hasPrefix("ref: ") else { return head }
        let name = String(head.dropFirst(5))
        if let commit = read("\(git)/\(name)") { return commit }
        let packed = read("\(git)/packed-refs") ?? ""
        let line = packed.split(separator: "\n").first { $0.hasSuffix(" \(name)") }
        return line.map { String($0.prefix { $0 != " " }) }
    }

    private static func short(_ commit: String?) -> String {
        guard let commit, commit.count >= 12 else { return "unknown" }
        return String(commit.prefix(12))
    }

    private static func read(_ path: String) -> String? {
        FileManager.default.contents(atPath: path).map {
            String(decoding: $0, as: UTF8.self).trimmingSuffix { $0.isWhitespace }
        }
    }
}

extension String {
    fileprivate func trimmingSuffix(while matches: (Character) -> Bool) -> String {
        var text = self[...]
        while let last = text.last, matches(last) { text.removeLast() }
        return String(text)
    }
}
