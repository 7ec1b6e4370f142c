import Foundation
import Processes
import Testing

/// What a sweep prints and writes, from the command itself.
struct SweepTests {
    private let folder: URL
    /// A promise that no cluster could keep.
    private let broken = #"""
        {"name":"broken","nodes":3,"liveness":{"at":"6s","within":"10s"},"duration":"50s",
         "expect":["stability"],
         "faults":[{"at":"20s","for":"10s","partition":{"sides":[["n1"],["n2"]]}},
          {"at":"35s","for":"1s","stall":{"node":"n1"}}]}
        """#

    init() throws {
        folder = URL.temporaryDirectory.appending(path: "sweep-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
    }

    private func write(_ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: folder.appending(path: "\(name).sim.json"))
    }

    @Test func `a clean sweep exits with 0 and says what it has not seen`() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try write("well", #"{"name":"well","nodes":2}"#)
        let run = try caravan(["simulate", "sweep", folder.path(), "--seeds", "1..3", "--twice"])
        #expect(run.status == 0, "\(run)")
        #expect(run.output.contains("well: 3 runs, 0 violations"))
        #expect(run.output.contains("never: a master's lease ended"))
        let strict = ["simulate", "sweep", folder.path(), "--seeds", "1", "--require-coverage"]
        #expect(try caravan(strict).status == 1)
    }

    @Test func `a failure is one line, an annotation, and a smaller scenario`() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try write("broken", broken)
        let report = folder.appending(path: "report.xml")
        let run = try caravan(
            ["simulate", "sweep", folder.path(), "--seeds", "4", "--junit", report.path()],
            environment: ["GITHUB_ACTIONS": "true"]
        )
        #expect(run.status == 1)
        let lines = run.errors.split(separator: "\n").filter { $0.contains("violated") }
        let line = try #require(lines.first)
        #expect(lines.count == 1)
        #expect(line.hasPrefix("L1 violated at "))
        #expect(line.contains("--seed 4 — shrunken: "))
        #expect(line.contains("commit "))
        #expect(run.output.contains("::error file="))
        let xml = try String(contentsOf: report, encoding: .utf8)
        #expect(xml.contains("<failure type=\"L1\""))
        // What was kept fails by itself, and is swept from now on.
        let kept = folder.appending(path: "regressions/broken-L1-4.sim.json")
        #expect(try caravan(["simulate", "run", kept.path()]).status == 1)
        let again = try caravan(["simulate", "sweep", folder.path(), "--seeds", "4", "--json"])
        let json = try JSONSerialization.jsonObject(with: Data(again.output.utf8))
        let summary = try #require(json as? [String: Any])
        #expect(summary["runs"] as? Int == 2)
        #expect(summary["violations"] as? Int == 2)
    }

    @Test func `whatever a scenario is called, its failure is kept in regressions`() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try write("broken", broken.replacing(#""name":"broken""#, with: #""name":"../../b \"c""#))
        let run = try caravan(["simulate", "sweep", folder.path(), "--seeds", "4"])
        #expect(run.status == 1, "\(run)")
        let kept = folder.appending(path: "regressions/------b--c-L1-4.sim.json")
        #expect(FileManager.default.fileExists(atPath: kept.path()))
    }

    @Test func `two sweeps can be compared by their hashes`() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        try write("well", #"{"name":"well","nodes":3,"swarm":{"crash":[0.1,0.2]}}"#)
        let files = ["1", "2"].map { folder.appending(path: $0) }
        for (file, jobs) in zip(files, ["1", "2"]) {
            let arguments = ["--seeds", "1..4", "--jobs", jobs, "--hashes", file.path()]
            let run = try caravan(["simulate", "sweep", folder.path()] + arguments)
            #expect(run.status == 0, "\(run)")
        }
        let first = try String(contentsOf: files[0], encoding: .utf8)
        #expect(first.split(separator: "\n").count == 4)
        #expect(try String(contentsOf: files[1], encoding: .utf8) == first)
    }

    @Test func `a sweep that was stopped goes on from there, if the program does the same`() throws
    {
        defer { try? FileManager.default.removeItem(at: folder) }
        try write("well", #"{"name":"well","nodes":3,"swarm":{"crash":[0.1,0.2]}}"#)
        let kept = folder.appending(path: "kept.jsonl")
        func sweep(_ seeds: String, _ more: String...) throws -> CommandRun {
            try caravan(["simulate", "sweep", folder.path(), "--seeds", seeds, "--quiet"] + more)
        }
        func figures(_ run: CommandRun) -> [Substring] {
            run.output.split(separator: "\n").filter { !$0.contains("seeds/min") }
        }
        #expect(try sweep("1..25", "--resume", kept.path()).status == 0)
        // A line that was being written when the power went is made again.
        let first = try String(contentsOf: kept, encoding: .utf8)
        try Data((first + #"{"path":"we"#).utf8).write(to: kept)
        let second = try sweep("1..60", "--resume", kept.path())
        #expect(second.status == 0, "\(second)")
        #expect(second.errors.contains("25 runs were made before, and count"))
        #expect(try figures(second) == figures(sweep("1..60")))
        let third = try sweep("1..60", "--resume", kept.path())
        #expect(third.errors.contains("60 runs were made before, and count"))
        #expect(figures(third) == figures(second))

        let lines = try String(contentsOf: kept, encoding: .utf8)
        do {
            let lock = try FileLock(path: kept.path())
            try withExtendedLifetime(#require(lock)) { _ in
                let busy = try sweep("1..60", "--resume", kept.path())
                #expect(busy.errors.contains("another sweep"))
            }
        }

        let digit = try #require(lines.firstRange(of: #""hash":""#)).upperBound
        let other = lines[digit] == "0" ? "1" : "0"
        try Data((lines[..<digit] + other + lines[lines.index(after: digit)...]).utf8)
            .write(to: kept)
        let refused = try sweep("1..60", "--resume", kept.path())
        #expect(refused.status == 2)
        #expect(refused.errors.contains("the program has changed"))
        // What is promised changes no run, and must be judged all the same.
        try Data(lines.utf8).write(to: kept)
        let bounds = #""bounds":{"messages":900}"#
        try write("well", #"{"name":"well","nodes":3,"swarm":{"crash":[0.1,0.2]},\#(bounds)}"#)
        let changed = try sweep("1..60", "--resume", kept.path())
        #expect(changed.status == 0)
        #expect(changed.errors.contains("well.sim.json has changed since: its runs are made anew"))
        #expect(!changed.errors.contains("were made before"))
        let known = try sweep("1..60", "--resume", kept.path())
        #expect(known.errors.contains("60 runs were made before, and count"))
        #expect(figures(known) == figures(second))
        try Data("noise\n".utf8).write(to: kept)
        #expect(try sweep("1..60", "--resume", kept.path()).errors.contains("kept.jsonl:1: "))
    }

    @Test func `what cannot be swept is refused with 2`() throws {
        defer { try? FileManager.default.removeItem(at: folder) }
        let path = folder.path()
        #expect(try caravan(["simulate", "sweep", path, "--seeds", "1"]).status == 2)
        try write("well", #"{"name":"well","nodes":2}"#)
        #expect(try caravan(["simulate", "sweep", path]).status == 2)
        let both = ["simulate", "sweep", path, "--seeds", "1", "--fresh", "1"]
        #expect(try caravan(both).status == 2)
        try write("typo", #"{"name":"typo","nodez":2}"#)
        let run = try caravan(["simulate", "sweep", path, "--seeds", "1"])
        #expect(run.status == 2)
        #expect(run.errors.contains("nodez"))
    }
}
