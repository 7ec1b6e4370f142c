import EventLoop
import Foundation
import Primitives
@testable import Sockets
import Synchronization
import Testing

/// An actor as the agent's are: on a loop, called back by it.
actor Pinned {
    private let loop: PollLoop
    private(set) var count = 0
    private(set) var wasElsewhere = false

    init(loop: PollLoop) { self.loop = loop }

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.asUnownedSerialExecutor()
    }

    nonisolated func callback() { assumeIsolated { $0.add() } }

    func add() {
        count += 1
        if !loop.isCurrent { wasElsewhere = true }
    }

    /// Awaits something that belongs to nobody, and comes back.
    func addTwice() async {
        add()
        await Task.yield()
        add()
    }
}

func isOnLoop(_ loop: PollLoop) async -> Bool { loop.isCurrent }

extension SocketsTests {
    @Suite struct PollLoopTests {
        @Test(arguments: PollMechanism.allCases)
        func `timers fire in order, not before their time`(mechanism: PollMechanism) async throws {
            try await withLoop(mechanism) { loop in
                let fired = Recorder<(name: Int, after: Duration)>()
                loop.execute {
                    let start = loop.now
                    for milliseconds in [30, 10, 20, 0, 10] {
                        loop.schedule(after: .milliseconds(milliseconds)) {
                            fired.append((milliseconds, loop.now - start))
                        }
                    }
                }
                try await eventually { fired.count == 5 }
                #expect(fired.all.map(\.name) == [0, 10, 10, 20, 30])
                #expect(fired.all.allSatisfy { $0.after >= .milliseconds($0.name) })
            }
        }

        @Test(arguments: PollMechanism.allCases)
        func `a cancelled timer does not fire`(mechanism: PollMechanism) async throws {
            try await withLoop(mechanism) { loop in
                let fired = Recorder<String>()
                loop.execute {
                    let cancelled = loop.schedule(after: .milliseconds(5)) {
                        fired.append("cancelled")
                    }
                    loop.schedule(after: .milliseconds(20)) { fired.append("kept") }
                    loop.cancel(cancelled)
                    loop.cancel(cancelled)
                }
                try await eventually { fired.count == 1 }
                #expect(fired.all == ["kept"])
            }
        }

        @Test func `a timer can set and cancel timers that are due as well`() async throws {
            try await withLoop { loop in
                let fired = Recorder<String>()
                loop.execute {
                    let victim = Mutex<LoopTimer?>(nil)
                    let holder = Holder(victim)
                    loop.schedule(after: .milliseconds(1)) {
                        if let timer = holder.value.withLock({ $0 }) { loop.cancel(timer) }
                        loop.schedule(after: .zero) { fired.append("new") }
                    }
                    let timer = loop.schedule(after: .milliseconds(1)) { fired.append("victim") }
                    holder.value.withLock { $0 = timer }
                    loop.schedule(after: .milliseconds(1)) { fired.append("last") }
                }
                try await eventually { fired.count == 2 }
                #expect(fired.all == ["last", "new"])
            }
        }

        @Test(arguments: PollMechanism.allCases)
        func `work from many threads runs, in each one's order`(
            mechanism: PollMechanism
        ) async throws {
            try await withLoop(mechanism) { loop in
                let seen = Recorder<(thread: Int, number: Int)>()
                let elsewhere = Recorder<Int>()
                for thread in 0..<8 {
                    try SystemThread.start(name: "test-\(thread)") {
                        for number in 0..<2000 {
                            loop.execute {
                                seen.append((thread, number))
                                if !loop.isCurrent { elsewhere.append(number) }
                            }
                        }
                    }
                }
                try await eventually { seen.count == 16_000 }
                #expect(elsewhere.count == 0)
                for thread in 0..<8 {
                    let numbers = seen.all.filter { $0.thread == thread }.map(\.number)
                    #expect(numbers == Array(0..<2000))
                }
            }
        }

        @Test(arguments: PollMechanism.allCases)
        func `an actor on the loop is reached by callbacks and by await`(
            mechanism: PollMechanism
        ) async throws {
            try await withLoop(mechanism) { loop in
                let actor = Pinned(loop: loop)
                for _ in 0..<100 {
                    loop.execute { actor.callback() }
                    await actor.addTwice()
                }
                try await eventually {
                    loop.executeAndWait { actor.assumeIsolated { $0.count } } == 300
                }
                #expect(await actor.count == 300)
                #expect(await !actor.wasElsewhere)
            }
        }

        @Test func `a task that prefers the loop runs there, whatever it awaits`() async throws {
            try await withLoop { loop in
                let places = await withTaskExecutorPreference(loop) {
                    let first = await isOnLoop(loop)
                    await Task.yield()
                    async let second = isOnLoop(loop)
                    return [first, await second, await isOnLoop(loop)]
                }
                #expect(places == [true, true, true])
                #expect(!loop.isCurrent)
            }
        }

        @Test func `an endless stream of work does not keep timers from firing`() async throws {
            try await withLoop { loop in
                let fired = Recorder<Int>()
                let busy = BusyWork(loop: loop)
                busy.start()
                loop.execute { loop.schedule(after: .milliseconds(5)) { fired.append(1) } }
                try await eventually { fired.count == 1 }
                busy.isOver.store(true, ordering: .relaxed)
            }
        }

        @Test(arguments: PollMechanism.allCases)
        func `a loop that stays awake does all its work, and sleeps when the time is over`(
            mechanism: PollMechanism
        ) async throws {
            try await withLoop(mechanism) { loop in
                let done = Recorder<Int>()
                loop.execute {
                    loop.stayAwake(for: .milliseconds(50))
                    loop.schedule(after: .milliseconds(10)) { done.append(1) }
                }
                loop.execute { done.append(0) }
                try await eventually { done.all == [0, 1] }
                try await Task.sleep(for: .milliseconds(100))
                let before = loop.executeAndWait { Self.threadTime() }
                try await Task.sleep(for: .milliseconds(400))
                let used = loop.executeAndWait { Self.threadTime() } - before
                #expect(used < .milliseconds(200), "a loop that did not sleep would use all")
            }
        }

        /// How long the calling thread has computed.
        private static func threadTime() -> Duration {
            var time = timespec()
            unsafe clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
            return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
        }

        @Test(arguments: PollMechanism.allCases)
        func `an idle loop uses no processor time`(mechanism: PollMechanism) async throws {
            try await withLoop(mechanism) { loop in
                let before = loop.executeAndWait { threadSwitches() }
                try await Task.sleep(for: .milliseconds(300))
                let after = loop.executeAndWait { threadSwitches() }
                // One sleep after the first answer; a few more would be a busy loop.
                #expect(after - before <= 2)
            }
        }

        @Test func `stopping runs what waits, then nothing`() throws {
            let loop = try PollLoop(name: "test-loop")
            let ran = Recorder<Int>()
            loop.execute {
                for number in 0..<1000 { loop.execute { ran.append(number) } }
                loop.schedule(after: .zero) { ran.append(-1) }
                loop.stop()
            }
            loop.waitUntilStopped()
            #expect(ran.all == Array(0..<1000))
            loop.execute { ran.append(-2) }
            loop.stop()
            loop.waitUntilStopped()
            #expect(ran.count == 1000)
        }

        @Test(arguments: PollMechanism.allCases)
        func `loops that come and go leave no descriptors`(
            mechanism: PollMechanism
        ) async {
            // In a process of its own: others open descriptors too.
            let isPoll = mechanism == .poll
            await #expect(processExitsWith: .success) { [isPoll = isPoll as Bool] in
                try await Self.comeAndGo(isPoll ? .poll : .best)
            }
        }

        private static func comeAndGo(_ mechanism: PollMechanism) async throws {
            let before = try openDescriptorCount()
            for _ in 0..<50 {
                let loop = try PollLoop(name: "test-loop", mechanism: mechanism)
                #expect(loop.executeAndWait { loop.isCurrent })
                loop.stop()
                loop.waitUntilStopped()
            }
            // The last thread lets go of its loop just after it says that it ended.
            let deadline = Date(timeIntervalSinceNow: 10)
            // A leak would be of a hundred; the runtime opens a few for itself meanwhile.
            while try openDescriptorCount() > before + 8, Date() < deadline { usleep(1000) }
            #expect(try openDescriptorCount() <= before + 8)
        }

        @Test func `the loop's thread has the name it was given`() async throws {
            try await withLoop { loop in
                let name = loop.executeAndWait {
                    try? String(contentsOfFile: "/proc/thread-self/comm", encoding: .utf8)
                }
                #expect(name == "test-loop\n")
            }
        }
    }
}

final class Holder<Value: ~Copyable & Sendable>: Sendable {
    let value: Value
    init(_ value: consuming Value) { self.value = value }
}

/// Work that asks for more work each time.
final class BusyWork: Sendable {
    let isOver = Atomic<Bool>(false)
    private let loop: PollLoop

    init(loop: PollLoop) { self.loop = loop }

    func start() { loop.execute { self.again() } }

    private func again() {
        if !isOver.load(ordering: .relaxed) { loop.execute { self.again() } }
    }
}

/// How often the calling thread went to sleep by itself.
func threadSwitches() -> Int {
    let text = (try? String(contentsOfFile: "/proc/thread-self/status", encoding: .utf8)) ?? ""
    let line = text.split(separator: "\n").first { $0.hasPrefix("voluntary_ctxt_switches") }
    return line.flatMap { Int($0.split(separator: "\t").last ?? "") } ?? 0
}
