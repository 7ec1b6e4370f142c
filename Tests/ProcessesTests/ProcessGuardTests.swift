import Processes
import Testing

#if os(Linux)
@Suite struct ProcessGuardTests {
    @Test func `a guarded child dies with a parent that was killed with -9`() async {
        let log = EventLog()
        let parent = ChildProcess.start(
            shell("setsid \(guardPath) __guard $$ -- /bin/sleep 600 & echo $!; wait"),
            guardedBy: .none
        ) { log.append($0) }
        let early = await log.events { if case .line = $0 { true } else { false } }
        guard let child = lines(early, .standardOutput).first.flatMap({ Int32($0) }) else {
            Issue.record("no process id among \(early)")
            return
        }
        // A session of its own: the signal to the parent's group must not be what ends it.
        #expect(await eventually { commandLine(child) == ["/bin/sleep", "600"] })
        parent.signal(.kill)
        #expect(await log.allEvents().last == .exited(.signalled(9)))
        #expect(await eventually { !isRunning(child) })
    }

    @Test func `an unguarded child outlives its parent`() async throws {
        let log = EventLog()
        let parent = ChildProcess.start(
            shell("setsid /bin/sleep 600 & echo $!; wait"),
            guardedBy: .none
        ) { log.append($0) }
        let early = await log.events { if case .line = $0 { true } else { false } }
        let child = try #require(lines(early, .standardOutput).first.flatMap { Int32($0) })
        #expect(await eventually { commandLine(child) == ["/bin/sleep", "600"] })
        parent.signal(.kill)
        #expect(await log.allEvents().last == .exited(.signalled(9)))
        #expect(isRunning(child))
        _ = try await runForOutput(
            shell("kill -9 \(child)"),
            guardedBy: .none,
            timeout: .seconds(9)
        )
    }

    @Test func `the guard refuses when its parent is gone already`() async throws {
        let command = ChildCommand(
            executable: guardPath,
            arguments: ["__guard", "1", "--", "/bin/true"]
        )
        await #expect(throws: ChildOutputError.self) {
            try await runForOutput(command, guardedBy: .none, timeout: .seconds(10))
        }
    }

    @Test func `a guarded child has no core dumps, no open files and no blocked signals`()
        async throws
    {
        let script =
            "ulimit -c; ls /proc/self/fd | wc -l; grep -E '^Sig(Blk|Ign)' /proc/self/status"
        let output = try await runForOutput(
            shell(script),
            guardedBy: guardBinary,
            timeout: .seconds(10)
        )
        let lines = output.standardOutput.split(separator: "\n").map(String.init)
        #expect(lines.count == 4)
        #expect(lines.first == "0")
        // Three standard streams, and the one with which ls reads the folder.
        #expect(lines.dropFirst().first == "4")
        #expect(lines.dropFirst(2) == ["SigBlk:\t0000000000000000", "SigIgn:\t0000000000000000"])
    }

    private func commandLine(_ pid: Int32) -> [String] {
        readText("/proc/\(pid)/cmdline").split(separator: "\0").map(String.init)
    }
}
#endif
