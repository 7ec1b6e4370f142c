internal import CPosix
internal import Synchronization

/// Waits by poll(2).
///
/// The whole list goes to the system at each wait, and is searched at each change.
final class PollPoller: Poller {
    // Never contended, since one thread uses a poller: it makes the class Sendable.
    private let state = Mutex(State())

    private struct State {
        var watches: [cposix_watch] = []
        /// Where the next scan begins, so that descriptors at the end get their turn.
        var start = 0

        func index(of token: UInt64) -> Int {
            guard let index = watches.firstIndex(where: { $0.token == token }) else {
                preconditionFailure("changed a descriptor that the poller does not know")
            }
            return index
        }
    }

    func add(_ descriptor: Int32, token: UInt64, interest: PollInterest) throws(SocketError) {
        let watch = cposix_watch(
            token: token,
            descriptor: descriptor,
            interest: interest.rawValue,
            events: 0
        )
        state.withLock { $0.watches.append(watch) }
    }

    func change(_ descriptor: Int32, token: UInt64, interest: PollInterest) {
        state.withLock { state in
            let index = state.index(of: token)
            state.watches[index].interest = interest.rawValue
        }
    }

    func remove(_ descriptor: Int32, token: UInt64) {
        state.withLock { state in
            let index = state.index(of: token)
            state.watches.swapAt(index, state.watches.count - 1)
            state.watches.removeLast()
        }
    }

    func wait(milliseconds: Int32, into ready: inout [PolledDescriptor]) {
        ready.removeAll(keepingCapacity: true)
        state.withLock { state in
            let count = state.watches.count
            var left = unsafe cposix_poll(&state.watches, Int32(count), milliseconds)
            let start = state.start
            for offset in 0..<count {
                guard left > 0, ready.count < PollLimits.readyLimit else { break }
                let index = (start + offset) % count
                let watch = state.watches[index]
                guard watch.events != 0 else { continue }
                left -= 1
                let events = PollEvents(rawValue: watch.events)
                ready.append(PolledDescriptor(token: watch.token, events: events))
                state.start = (index + 1) % count
            }
        }
    }
}
