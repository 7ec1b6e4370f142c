import Processes
import Testing

@Suite struct ChildProcessTests {
    private func run(_ command: ChildCommand) async -> [ChildEvent] {
        let log = EventLog()
        let child = ChildProcess.start(command, guardedBy: guardBinary) { log.append($0) }
        defer { withExtendedLifetime(child) {} }
        return await log.allEvents()
    }

    @Test func `events come in order and the exit is the last`() async {
        let events = await run(shell("echo one; echo two; echo three >&2; exit 7"))
        guard case .started(let pid) = events.first else {
            Issue.record("the first event is \(String(describing: events.first))")
            return
        }
        #expect(pid > 1)
        #expect(lines(events, .standardOutput) == ["one", "two"])
        #expect(lines(events, .standardError) == ["three"])
        #expect(events.last == .exited(.exited(code: 7)))
        #expect(events.count == 5)
    }

    @Test func `a signal that ends the child is reported`() async {
        let events = await run(shell("kill -9 $$"))
        #expect(events.last == .exited(.signalled(9)))
    }

    @Test func `a program that does not exist could not start`() async {
        let events = await run(ChildCommand(executable: "/nowhere/llama-server"))
        let reason = "/nowhere/llama-server is not an executable file"
        #expect(events == [.exited(.couldNotStart(reason))])
    }

    @Test func `a file that is no program could not start`() async throws {
        let folder = try TemporaryFolder()
        let path = folder.write("broken", "not a program", executable: true)
        let events = await run(ChildCommand(executable: path))
        guard case .exited(.couldNotStart(let reason)) = events.last else {
            Issue.record("\(events)")
            return
        }
        #expect(reason.hasPrefix("\(path): Exec format error"))
    }

    @Test func `environment changes are added and removed`() async {
        var command = shell("echo $ADDED; echo ${HOME-gone}; pwd")
        command.environment = ["ADDED": "yes", "HOME": nil]
        command.workingDirectory = "/usr"
        let events = await run(command)
        #expect(lines(events, .standardOutput) == ["yes", "gone", "/usr"])
    }

    @Test func `a last line without its end is delivered`() async {
        let events = await run(shell("printf 'whole\\npart'; printf oops >&2"))
        #expect(lines(events, .standardOutput) == ["whole", "part"])
        #expect(lines(events, .standardError) == ["oops"])
    }

    @Test func `output that fills pipes many times over is drained from both streams`() async {
        let script =
            "yes 0123456789012345678901234567890123456789 | head -n 50000 >&2 & "
            + "yes abc | head -n 50000; wait"
        let events = await run(shell(script))
        #expect(lines(events, .standardOutput).count == 50_000)
        #expect(lines(events, .standardError).count == 50_000)
        #expect(events.last == .exited(.exited(code: 0)))
    }

    @Test func `terminate reaches the child and what it started`() async {
        let log = EventLog()
        let child = ChildProcess.start(
            shell("sleep 600 & echo $!; wait"),
            guardedBy: guardBinary
        ) { log.append($0) }
        let early = await log.events { if case .line = $0 { true } else { false } }
        let grandchild = lines(early, .standardOutput).first.flatMap { Int32($0) }
        child.signal(.terminate)
        let events = await log.allEvents()
        #expect(events.last == .exited(.signalled(15)))
        #expect(child.pid == nil)
        if let grandchild {
            #expect(await eventually { !isRunning(grandchild) })
        } else {
            Issue.record("no process id among \(early)")
        }
    }

    @Test func `a grandchild that holds the output open is killed with the child's end`() async {
        let events = await run(shell("sleep 600 & echo $!; exit 3"))
        #expect(events.last == .exited(.exited(code: 3)))
        let grandchild = lines(events, .standardOutput).first.flatMap { Int32($0) }
        if let grandchild {
            #expect(await eventually { !isRunning(grandchild) })
        } else {
            Issue.record("no process id among \(events)")
        }
    }

    @Test func `a signal sent before the start is not lost`() async {
        let log = EventLog()
        let child = ChildProcess.start(
            ChildCommand(executable: "/bin/sleep", arguments: ["600"]),
            guardedBy: guardBinary
        ) { log.append($0) }
        child.signal(.kill)
        #expect(await log.allEvents().last == .exited(.signalled(9)))
        child.signal(.kill)
    }

    @Test func `a child that closes its outputs is followed to its end`() async {
        let events = await run(shell("exec >&- 2>&-; sleep 0.2; exit 5"))
        #expect(events.last == .exited(.exited(code: 5)))
    }

    @Test func `standard input is empty`() async {
        let events = await run(shell("cat; echo end"))
        #expect(lines(events, .standardOutput) == ["end"])
    }

    @Test func `a hundred children one after another leave nothing behind`() async {
        for _ in 0..<100 {
            let events = await run(ChildCommand(executable: "/bin/true"))
            #expect(events.last == .exited(.exited(code: 0)))
        }
    }
}
