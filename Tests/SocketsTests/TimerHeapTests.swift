import EventLoop
import Primitives
@testable import Sockets
import Synchronization
import Testing

extension SocketsTests {
    @Suite struct TimerHeapTests {
        @Test func `timers come out soonest first, and equally soon ones in the order set`() {
            var heap = TimerHeap()
            let fired = Recorder<Int>()
            var generator = SeededGenerator(seed: 7)
            var expected: [(deadline: Int64, number: Int)] = []
            for number in 0..<500 {
                let deadline = Int64(generator.below(50))
                expected.append((deadline, number))
                _ = heap.insert(at: Instant(nanoseconds: deadline)) { fired.append(number) }
            }
            while let action = heap.popDue(at: Instant(nanoseconds: 50)) { action() }
            #expect(fired.all == expected.sorted { $0 < $1 }.map(\.number))
        }

        @Test func `a timer that is not due stays`() {
            var heap = TimerHeap()
            _ = heap.insert(at: Instant(nanoseconds: 10)) {}
            let action = heap.popDue(at: Instant(nanoseconds: 9))
            #expect(action == nil)
            #expect(heap.nextDeadline == Instant(nanoseconds: 10))
        }

        @Test func `random cancelling leaves exactly the other timers`() {
            var heap = TimerHeap()
            let fired = Recorder<Int>()
            var generator = SeededGenerator(seed: 11)
            var timers: [(timer: LoopTimer, number: Int)] = []
            for number in 0..<1000 {
                let deadline = Instant(nanoseconds: Int64(generator.below(1000)))
                timers.append((heap.insert(at: deadline) { fired.append(number) }, number))
            }
            generator.shuffle(&timers)
            let (cancelled, kept) = (timers[..<600], timers[600...])
            for (timer, _) in cancelled { heap.remove(timer) }
            #expect(heap.count == 400)
            while let action = heap.popDue(at: Instant(nanoseconds: 1000)) { action() }
            #expect(fired.all.sorted() == kept.map(\.number).sorted())
        }

        @Test func `a name is not valid for the next timer in the same slot`() {
            var heap = TimerHeap()
            let old = heap.insert(at: .origin) {}
            let removals = [heap.remove(old)]
            let new = heap.insert(at: .origin) {}
            let more = [heap.remove(old), heap.remove(new), heap.remove(new)]
            #expect(removals + more == [true, false, true, false])
        }

        @Test func `setting and cancelling for ever takes no memory`() {
            var heap = TimerHeap()
            let names = Set(
                (0..<10_000).map { _ in
                    let timer = heap.insert(at: .origin) {}
                    heap.remove(timer)
                    return timer.id & UInt64(TimerHeap.timerLimit - 1)
                }
            )
            #expect(names.count == 1)
        }
    }
}
