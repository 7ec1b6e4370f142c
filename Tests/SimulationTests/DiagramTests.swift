import Foundation
import Primitives
import Simulator
import Testing

struct DiagramTests {
    private struct Line {
        let text: String
        let fields: [String: Any]

        init(_ text: String) throws {
            self.text = text
            let object = try JSONSerialization.jsonObject(with: Data(text.utf8))
            fields = try #require(object as? [String: Any])
        }

        func text(_ key: String) -> String? { fields[key] as? String }
        func number(_ key: String) -> Int? { fields[key] as? Int }
        var kind: String? { text("kind") }
        var time: Double { fields["t"] as? Double ?? .nan }
    }

    private func lines(_ name: String, seed: UInt64 = 1) throws -> [Line] {
        try DiagramRun(scenario: try storedScenario(name), seed: seed).lines.map { try Line($0) }
    }

    // MARK: - The lines

    @Test(arguments: ["even-split-5", "swarm-all", "stalled-master", "power-cut"])
    func `every datagram has both ends or is lost`(name: String) throws {
        var open: Set<Int> = []
        var hasDuplicates = false
        var sentCount = 0
        var packets: Set<Int> = []
        for line in try lines(name) {
            guard let packet = line.number("packet") else {
                #expect(!["send", "deliver", "lost"].contains(line.kind))
                continue
            }
            #expect(line.text("from") != nil && line.text("to") != nil)
            #expect(line.text("about") != nil)
            switch line.kind {
            case "send":
                #expect(open.insert(packet).inserted)
                packets.insert(packet)
                sentCount += 1
            case "deliver":
                #expect(packets.contains(packet), "\(line.text)")
                #expect(line.text("node") == line.text("to"))
                if open.remove(packet) == nil { hasDuplicates = true }
            case "lost" where line.text("node") == line.text("from"):
                // Lost by the network: the line is both ends.
                #expect(packets.insert(packet).inserted)
            case "lost":
                #expect(line.text("why") != nil)
                if open.remove(packet) == nil { hasDuplicates = true }
            default: Issue.record("a packet in a line of another kind: \(line.text)")
            }
        }
        #expect(open.isEmpty)
        #expect(sentCount > 100)
        if hasDuplicates { #expect(try storedScenario(name).network.duplicate > 0) }
    }

    @Test(arguments: ["even-split-5", "swarm-all", "stalled-master"])
    func `states cover each node's life from the first moment on`(name: String) throws {
        let scenario = try storedScenario(name)
        var roles: [String: String] = [:]
        for line in try lines(name) {
            let node = line.text("node")
            if line.kind == "state" {
                let role = try #require(line.text("role"))
                if line.time == 0, let node, roles[node] == nil { #expect(role == "down") }
                let name = try #require(node)
                roles[name] = role
                if role == "master" { #expect(line.text("obeys") == node) }
                if role == "follower" { #expect(line.text("obeys") != node) }
            }
            // Nobody acts without being told to run first.
            if line.kind == "log" || line.kind == "send" || line.kind == "deliver" {
                let role = try #require(node.flatMap { roles[$0] })
                if line.kind == "deliver" { #expect(role != "down" && role != "stalled") }
            }
            if line.kind == "stop" || line.kind == "start" { #expect(node != nil) }
        }
        #expect(roles.count == scenario.nodeCount)
        #expect(roles.values.contains("master"))
    }

    @Test func `a stalled master is shown as stalled and runs again`() throws {
        let roles = try lines("stalled-master").filter { $0.kind == "state" }
        let stalls = roles.filter { $0.text("role") == "stalled" }
        #expect(!stalls.isEmpty)
        for stall in stalls {
            let after = roles.first {
                $0.text("node") == stall.text("node") && $0.time > stall.time
            }
            #expect(after != nil)
        }
    }

    @Test func `under quorum a state tells whose votes count`() throws {
        let states = try lines("quorum-healthy").filter { $0.kind == "state" }
        let masters = states.filter { $0.text("role") == "master" }
        #expect(!masters.isEmpty)
        for state in masters {
            let voters = try #require(state.fields["voters"] as? [String])
            #expect(voters.contains(try #require(state.text("node"))))
            #expect(state.text("votersID") != nil)
        }
        let counts = masters.compactMap { ($0.fields["voters"] as? [String])?.count }
        #expect(Set(counts) == [1, 2, 3, 4, 5], "one more at a time")
        let lost = try lines("quorum-disk-lost").contains {
            ($0.fields["voters"] as? [String])?.contains("n2 of before") == true
        }
        #expect(lost, "n2 came back without its disk, as another device")
        let available = try lines("even-split-5").filter { $0.fields["voters"] != nil }
        #expect(available.isEmpty)
    }

    @Test func `a state tells for whose ballot the servers were started`() throws {
        let states = try lines("transfer").filter { $0.kind == "state" }
        for key in ["rpcServer", "llamaServer"] {
            let ballots = Set(states.compactMap { $0.text(key) })
            #expect(ballots.count >= 2, "\(key): the servers of one master are not the other's")
            #expect(ballots.allSatisfy { $0.contains("/n") })
        }
        let unneeded = try lines("even-split-5").filter { $0.fields["rpcServer"] != nil }
        #expect(unneeded.isEmpty, "nobody asked for a model")
    }

    @Test func `a cause is an earlier event that has a line`() throws {
        var shown: Set<Int> = [0]
        for line in try lines("swarm-all") {
            let index = try #require(line.number("i"))
            let cause = try #require(line.number("cause"))
            #expect(shown.contains(cause), "\(line.text)")
            #expect(cause < index || index == 0)
            shown.insert(index)
        }
    }

    @Test func `faults are told in plain words`() throws {
        let faults = try lines("even-split-5").filter { $0.kind == "fault" }
        #expect(faults.map { $0.text("phase") } == ["begins", "ends"])
        for fault in faults {
            #expect(fault.text("caption") == "n1 and n2 cut off from n3, n4 and n5")
            #expect(fault.fields["nodes"] as? [String] == ["n1", "n2", "n3", "n4", "n5"])
        }
    }

    // MARK: - The page

    @Test func `the page refers to nothing outside itself`() throws {
        let run = DiagramRun(scenario: try scenario(#"{"name":"a","nodes":2}"#), seed: 1)
        let page = Diagram.html(runs: [run])
        for word in ["http:", "https:", "//cdn", "src=", "<link", "@import", "url(", "fetch("] {
            let isThere = page.contains(word)
            #expect(!isThere, "\(word)")
        }
        for placeholder in ["{{title}}", "{{style}}", "{{data}}", "{{script}}"] {
            let isLeft = page.contains(placeholder)
            #expect(!isLeft, "\(placeholder)")
        }
        let isClosed = page.contains("default-src 'none'")
        #expect(isClosed)
        let isPage = page.hasPrefix("<!doctype html>")
        #expect(isPage)
    }

    @Test func `the page holds every line of the trace`() throws {
        let run = DiagramRun(scenario: try scenario(#"{"name":"a","nodes":2}"#), seed: 1)
        let scripts = try Self.scripts(of: Diagram.html(runs: [run]))
        let found = try #require(scripts["trace-0"])
        #expect(found.split(separator: "\n").map(String.init) == run.lines)
    }

    @Test func `no name can leave its place`() throws {
        let evil = #"</script><script>alert(1)</script><!-- {{data}} & \" "#
        var scenario = try scenario(#"{"name":"a","nodes":2}"#)
        scenario.name = evil
        var run = DiagramRun(scenario: scenario, seed: 1)
        run.lines.append(
            #"{"i":1,"t":1,"kind":"log","node":"n1","cause":0,"message":"</script><b>{{style}}"}"#
        )
        let page = Diagram.html(runs: [run, run])
        let scripts = try Self.scripts(of: page)
        #expect(Set(scripts.keys) == ["facts", "trace-0", "trace-1", ""])
        let isOut = page.contains("alert(1)</script>") || page.contains("<b>")
        #expect(!isOut)
        let facts = try JSONSerialization.jsonObject(
            with: Data((scripts["facts"] ?? "").utf8)
        )
        let first = try #require((facts as? [[String: Any]])?.first)
        #expect(first["title"] as? String == "\(evil), seed 1")
        let last = try #require(scripts["trace-1"]?.split(separator: "\n").last)
        #expect(try Line(String(last)).text("message") == "</script><b>{{style}}")
    }

    @Test func `a broken promise is told with its sentence`() throws {
        let scenario = try scenario(
            #"""
            {"name":"a","nodes":3,"liveness":{"at":"0s","within":"500ms"},
             "network":{"latency":"40ms"}}
            """#
        )
        let run = DiagramRun(scenario: scenario, seed: 1)
        let broken = try #require(run.result.violation)
        let scripts = try Self.scripts(of: Diagram.html(runs: [run]))
        let facts = try JSONSerialization.jsonObject(
            with: Data((scripts["facts"] ?? "").utf8)
        )
        let first = try #require((facts as? [[String: Any]])?.first)
        let violation = try #require(first["violation"] as? [String: Any])
        #expect(violation["invariant"] as? String == broken.invariant)
        #expect(violation["detail"] as? String == broken.detail)
        let promise = try #require(violation["promise"] as? String)
        #expect(promise.contains("within 0.5 s from 0 s on"))
        let last = try #require(run.lines.last { $0.contains("\"violation\"") })
        #expect(try Line(last).kind == "violation")
    }

    /// What is within each script element, by its id, as a browser would cut it.
    private static func scripts(of page: String) throws -> [String: String] {
        var found: [String: String] = [:]
        var rest = Substring(page)
        while let start = rest.firstRange(of: "<script") {
            let opened = rest[start.upperBound...]
            let end = try #require(opened.firstRange(of: ">"))
            let tag = opened[..<end.lowerBound]
            let close = try #require(opened.firstRange(of: "</script"))
            let id = tag.firstRange(of: "id=\"").map { tag[$0.upperBound...].prefix { $0 != "\"" } }
            found[String(id ?? "")] = opened[end.upperBound..<close.lowerBound]
                .trimmingCharacters(in: .newlines)
                .replacing("\\u003c", with: "<")
            rest = opened[close.upperBound...]
        }
        return found
    }
}
