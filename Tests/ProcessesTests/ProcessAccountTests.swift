import Processes
import Testing

@Suite struct ProcessAccountTests {
    @Test(arguments: [
        ("S", ProcessAccount.State.sleeps), ("R", .runs), ("D", .waitsForDisk),
        ("T", .isStopped), ("t", .isStopped), ("Z", .hasEnded),
    ])
    func `a line of proc says what a process does, whatever its name`(
        letter: String,
        state: ProcessAccount.State
    ) throws {
        let stat = "12 (a ) (b) \(letter) 1 12 12 0 -1 4194304 90 0 0 0 731 69 0 0 20 0 4 0 17"
        let account = try #require(ProcessAccount(stat: stat, ticksPerSecond: 100))
        #expect(account.state == state)
        #expect(account.processorTime == .seconds(8))
    }

    @Test(arguments: ["", "12", "12 (a) S 1 12", "12 (a) S 1 2 3 4 5 6 7 8 9 10 x 12 13 14"])
    func `a line that makes no sense says nothing`(stat: String) {
        #expect(ProcessAccount(stat: stat, ticksPerSecond: 100) == nil)
    }

    @Test func `a child that computes, sleeps, is stopped and is gone is seen to be so`()
        async throws
    {
        let log = EventLog()
        let child = ChildProcess.start(
            shell("while :; do :; done"),
            guardedBy: guardBinary
        ) { log.append($0) }
        let started = await log.events { if case .started = $0 { true } else { false } }
        guard case .started(let pid)? = started.last else {
            Issue.record("it did not start: \(started)")
            return
        }
        try await eventually { (ProcessAccount.read(pid: pid)?.processorTime ?? .zero) > .zero }
        #expect(ProcessAccount.read(pid: pid)?.state == .runs)
        child.signal(.suspend)
        try await eventually { ProcessAccount.read(pid: pid)?.state == .isStopped }
        let stopped = ProcessAccount.read(pid: pid)
        try await Task.sleep(for: .milliseconds(50))
        #expect(ProcessAccount.read(pid: pid) == stopped)
        child.signal(.kill)
        _ = await log.allEvents()
        #expect(ProcessAccount.read(pid: pid) == nil)
    }

    private func eventually(_ condition: () -> Bool) async throws {
        for _ in 0..<1000 {
            if condition() { return }
            try await Task.sleep(for: .milliseconds(10))
        }
        Issue.record("did not happen within 10 s")
    }
}
