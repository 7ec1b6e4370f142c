import LlamaRPC
import Primitives
import Testing

/// When a server that owes an answer counts as hanging, in virtual time.
struct RPCStallWatchTests {
    /// A connection that is looked at every quarter of a second.
    private struct Life {
        var watch = RPCStallWatch()
        var now = Instant(nanoseconds: 5_000_000_000)
        var moved: UInt64 = 0

        /// Looks on for a while; returns after how long the server counted as hanging.
        mutating func pass(
            _ duration: Duration,
            owes: Bool = true,
            _ process: (Duration) -> RPCStallWatch.Process
        ) -> Duration? {
            let began = now
            while now - began < duration {
                let passed = now - began
                let isStalled = watch.isStalled(
                    owes: owes,
                    movedByteCount: moved,
                    process: { process(passed) },
                    at: now
                )
                if isStalled { return passed }
                now = now + RPCStallWatch.checkInterval
            }
            return nil
        }
    }

    @Test(arguments: [RPCStallWatch.Process.hasComputed(.seconds(7)), .isStopped])
    func `who owes and does not compute hangs after two seconds`(
        process: RPCStallWatch.Process
    ) {
        var life = Life()
        #expect(life.pass(.seconds(60)) { _ in process } == .seconds(2))
    }

    @Test func `a computation of ten minutes is left alone, and one that is rarely scheduled`() {
        var life = Life()
        #expect(life.pass(.seconds(600)) { .hasComputed($0) } == nil)
        // Ten milliseconds in every second and a half.
        let rare = life.pass(.seconds(600)) { passed in
            .hasComputed(.milliseconds(10) * Int(passed / .milliseconds(1500)))
        }
        #expect(rare == nil)
    }

    @Test func `who is stopped after long computing hangs two seconds later`() {
        var life = Life()
        let stalled = life.pass(.seconds(60)) { passed in
            passed < .seconds(30) ? .hasComputed(passed) : .isStopped
        }
        // From the last time that it was seen to compute.
        #expect(stalled == .milliseconds(31_750))
    }

    @Test(arguments: [RPCStallWatch.Process.isUnknown, .waitsForDisk])
    func `who waits for a disk, or of whom nothing is known, is left alone`(
        process: RPCStallWatch.Process
    ) {
        var life = Life()
        #expect(life.pass(.seconds(600)) { _ in process } == nil)
        #expect(life.pass(.seconds(3)) { _ in .isStopped } == .seconds(2))
    }

    @Test func `who owes nothing may sleep, and moving bytes begin the time anew`() {
        var life = Life()
        #expect(life.pass(.seconds(600), owes: false) { _ in .isStopped } == nil)
        for _ in 0..<10 {
            life.moved += 1
            #expect(life.pass(.milliseconds(1900)) { _ in .hasComputed(.zero) } == nil)
        }
        #expect(life.pass(.seconds(1)) { _ in .hasComputed(.zero) } == .milliseconds(0))
    }

    @Test func `what computes elsewhere is given longer, but not when it is stopped`() {
        var life = Life()
        life.watch = RPCStallWatch(idleLimit: RPCStallWatch.acceleratedIdleLimit)
        #expect(life.pass(.seconds(100)) { _ in .hasComputed(.seconds(1)) } == .seconds(60))
        life.watch = RPCStallWatch(idleLimit: RPCStallWatch.acceleratedIdleLimit)
        #expect(life.pass(.seconds(100)) { _ in .isStopped } == .seconds(2))
    }
}
