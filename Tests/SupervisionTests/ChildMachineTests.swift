import Primitives
import Supervision
import Testing

/// One child that is driven by hand.
private final class Driven {
    var machine: ChildMachine
    var now = Instant.origin

    init(_ restart: RestartStrategy = .permanent, change: (inout ChildSpec) -> Void = { _ in }) {
        var spec = ChildSpec(
            name: "rpc-server",
            restart: restart,
            readinessTimeout: .seconds(15)
        )
        change(&spec)
        machine = ChildMachine(spec)
    }

    @discardableResult
    func handle(_ inputs: ChildInput...) -> [ChildEffect] {
        var effects: [ChildEffect] = []
        for input in inputs {
            effects = []
            machine.handle(input, at: now, effects: &effects)
        }
        return effects
    }

    /// Ends the running child and waits until it is started again; how long the wait was, or nil
    /// if it is not started again.
    func crash() -> Duration? {
        for case .emit(.restarting(_, let delay)) in handle(.exited(.exited(code: 1))) {
            now += delay
            #expect(handle(.timer(.backoff)) == [.spawn])
            handle(.started(pid: 7))
            return delay
        }
        return nil
    }
}

private let end = ChildEnd.signalled(9)

struct ChildMachineTests {
    @Test func `a child is spawned, asked in its own protocol, and ready`() {
        let driven = Driven()
        #expect(driven.handle(.start) == [.spawn])
        #expect(driven.machine.state == .spawning)
        #expect(
            driven.handle(.started(pid: 7)) == [
                .emit(.started(pid: 7)), .setTimer(.probe, after: .milliseconds(100)),
                .setTimer(.readiness, after: .seconds(15)),
            ]
        )
        #expect(
            driven.handle(.timer(.probe)) == [
                .probe, .setTimer(.probe, after: .milliseconds(100)),
            ]
        )
        #expect(
            driven.handle(.ready) == [
                .cancelTimer(.probe), .cancelTimer(.readiness), .emit(.ready),
            ]
        )
        #expect(driven.machine.state == .ready(pid: 7))
        #expect(driven.handle(.ready).isEmpty, "twice says nothing new")
        #expect(driven.handle(.start).isEmpty)
        #expect(driven.handle(.timer(.probe)).isEmpty)
        #expect(driven.handle(.timer(.readiness)).isEmpty)
    }

    @Test func `a child without a readiness timeout is waited for as long as it lives`() {
        let driven = Driven { $0.readinessTimeout = nil }
        let effects = driven.handle(.start, .started(pid: 7))
        #expect(
            !effects.contains {
                if case .setTimer(.readiness, _) = $0 { return true }
                return false
            }
        )
    }

    @Test func `one that never answers is killed and started again`() {
        let driven = Driven()
        driven.handle(.start, .started(pid: 7))
        #expect(driven.handle(.timer(.readiness)) == [.kill])
        #expect(driven.crash() == .milliseconds(250))
    }

    @Test func `the wait doubles with each crash, up to its limit, and is short again later`() {
        let driven = Driven {
            $0.intensity = 100
            $0.backoffLimit = .seconds(3)
        }
        driven.handle(.start, .started(pid: 7))
        let expected: [Double] = [0.25, 0.5, 1, 2, 3, 3]
        #expect((0..<6).map { _ in driven.crash()?.inSeconds } == expected)
        driven.now += .seconds(61)
        #expect(driven.crash() == .milliseconds(250))
    }

    @Test func `too many crashes within the period end it, with a reason`() {
        let driven = Driven()
        driven.handle(.start, .started(pid: 7))
        for _ in 0..<5 { #expect(driven.crash() != nil) }
        let effects = driven.handle(.exited(end))
        #expect(
            effects.contains(
                .emit(
                    .gaveUp(
                        reason:
                            "rpc-server ended 6 times within 60 s, last with signal 9 (SIGKILL)"
                    )
                )
            )
        )
        #expect(driven.machine.state == .gaveUp)
        #expect(driven.handle(.timer(.backoff)).isEmpty)
        #expect(driven.handle(.exited(end)).allSatisfy { $0 != .spawn })
        // Whoever starts it again begins a new count.
        #expect(driven.handle(.start) == [.spawn])
        driven.handle(.started(pid: 8))
        #expect(driven.crash() == .milliseconds(250))
    }

    @Test func `crashes that lie far apart never end it`() {
        let driven = Driven()
        driven.handle(.start, .started(pid: 7))
        for _ in 0..<50 {
            driven.now += .seconds(20)
            #expect(driven.crash() != nil)
        }
    }

    @Test func `what could not be started is tried again too`() {
        let driven = Driven()
        driven.handle(.start)
        let effects = driven.handle(.exited(.couldNotStart(reason: "no such file")))
        #expect(effects.contains(.setTimer(.backoff, after: .milliseconds(250))))
        #expect(driven.handle(.timer(.backoff)) == [.spawn])
    }

    @Test(arguments: [false, true])
    func `the end of a temporary child is only told`(isReady: Bool) {
        let driven = Driven(.temporary)
        driven.handle(.start, .started(pid: 7))
        if isReady { driven.handle(.ready) }
        #expect(driven.handle(.exited(end)).last == .emit(.ended(end)))
        #expect(driven.machine.state == .idle)
        #expect(driven.handle(.start) == [.spawn])
    }

    @Test func `a stop asks twice, then kills, and ends with the process alone`() {
        let driven = Driven()
        driven.handle(.start, .started(pid: 7), .ready)
        let step = ChildEffect.setTimer(.stopStep, after: .seconds(2))
        #expect(driven.handle(.stop).suffix(2) == [.terminate, step])
        #expect(driven.handle(.timer(.stopStep)) == [.terminate, step])
        #expect(driven.handle(.timer(.stopStep)) == [.kill, step])
        #expect(driven.handle(.timer(.stopStep)) == [.kill, step])
        #expect(driven.handle(.stop).allSatisfy { $0 != .terminate }, "it is asked already")
        let effects = driven.handle(.exited(end))
        #expect(effects.contains(.cancelTimer(.stopStep)))
        #expect(effects.last == .emit(.stopped))
        #expect(driven.machine.state == .idle)
    }

    @Test func `a stop while it is being spawned reaches the process as soon as there is one`() {
        let driven = Driven()
        driven.handle(.start, .stop)
        #expect(driven.handle(.started(pid: 7)) == [.terminate])
        #expect(driven.handle(.ready).isEmpty)
        #expect(driven.handle(.exited(end)).last == .emit(.stopped))
    }

    @Test func `a stop while it is being spawned also ends when it cannot be started`() {
        let driven = Driven()
        driven.handle(.start, .stop)
        let effects = driven.handle(.exited(.couldNotStart(reason: "no such file")))
        #expect(effects.last == .emit(.stopped))
        #expect(driven.machine.state == .idle)
    }

    @Test func `a stop while it waits ends the waiting`() {
        let driven = Driven()
        driven.handle(.start, .started(pid: 7), .exited(end))
        #expect(driven.machine.state == .backingOff)
        #expect(driven.handle(.start).isEmpty, "it is waited for already")
        let effects = driven.handle(.stop)
        #expect(effects.contains(.cancelTimer(.backoff)))
        #expect(effects.last == .emit(.stopped))
        #expect(driven.handle(.timer(.backoff)).isEmpty)
    }

    @Test func `a start while it stops follows the end, and the last word counts`() {
        let driven = Driven()
        driven.handle(.start, .started(pid: 7), .ready, .stop)
        #expect(driven.handle(.start).isEmpty)
        driven.handle(.timer(.stopStep))
        #expect(driven.handle(.exited(end)).suffix(2) == [.emit(.stopped), .spawn])
        #expect(driven.machine.state == .spawning)
        driven.handle(.started(pid: 8), .stop, .start, .stop)
        #expect(driven.handle(.exited(end)).last == .emit(.stopped))
        #expect(driven.machine.state == .idle)
    }

    @Test func `a start after a stop counts crashes anew`() {
        let driven = Driven()
        driven.handle(.start, .started(pid: 7))
        for _ in 0..<4 { #expect(driven.crash() != nil) }
        driven.handle(.stop, .start, .exited(end), .started(pid: 8))
        #expect(driven.crash() == .milliseconds(250))
    }

    @Test func `what was stopped or given up needs no stop`() {
        let driven = Driven()
        for _ in 0..<2 {
            let effects = driven.handle(.stop)
            #expect(effects.allSatisfy { if case .cancelTimer = $0 { true } else { false } })
        }
        #expect(driven.handle(.started(pid: 3)).isEmpty)
        #expect(driven.machine.state == .idle)
    }

    /// Any inputs in any order: the process count never leaves 0…1, and a stop always ends.
    @Test func `no order of events starts two processes or leaves a stop open`() {
        for seed in 0..<300 as Range<UInt64> {
            var generator = SeededGenerator(seed: seed)
            let driven = Driven(seed % 3 == 0 ? .temporary : .permanent)
            var isAlive = false
            var timers: [ChildTimer] = []
            func handle(_ input: ChildInput) {
                for effect in driven.handle(input) {
                    switch effect {
                    case .spawn:
                        #expect(!isAlive, "seed \(seed): two processes")
                        isAlive = true
                    case .setTimer(let timer, _):
                        timers.removeAll { $0 == timer }
                        timers.append(timer)
                    case .cancelTimer(let timer): timers.removeAll { $0 == timer }
                    case .terminate, .kill, .probe, .emit: break
                    }
                }
            }
            func fire() {
                guard !timers.isEmpty else { return }
                handle(.timer(timers.remove(at: generator.below(timers.count))))
            }
            for _ in 0..<60 {
                driven.now += .milliseconds(generator.below(4000))
                switch generator.below(7) {
                case 0: handle(.start)
                case 1: handle(.stop)
                case 2: if isAlive { handle(.started(pid: 7)) }
                case 3: handle(.ready)
                case 4:
                    if isAlive {
                        isAlive = false
                        handle(.exited(generator.below(2) == 0 ? end : .exited(code: 0)))
                    }
                default: fire()
                }
            }
            handle(.stop)
            if isAlive {
                #expect(timers == [.stopStep], "seed \(seed): nothing would kill it")
                isAlive = false
                handle(.exited(end))
            }
            #expect(driven.machine.state == .idle, "seed \(seed)")
            #expect(timers.isEmpty, "seed \(seed)")
        }
    }

    @Test func `ends are told in words`() {
        #expect(ChildEnd.exited(code: 1).text == "exit code 1")
        #expect(ChildEnd.signalled(6).text == "signal 6 (SIGABRT)")
        #expect(ChildEnd.signalled(64).text == "signal 64")
        #expect(ChildEnd.couldNotStart(reason: "x").text == "could not be started: x")
    }
}
