#if !(os(Linux) || os(Android))
internal import CPosix

/// Waits by kqueue(2).
///
/// A descriptor that is ready both ways is reported twice.
final class KqueuePoller: Poller {
    private let queue: Int32

    init() throws(SocketError) {
        queue = try systemCall("kqueue", cposix_kqueue_create())
    }

    deinit {
        cposix_close(queue)
    }

    func add(_ descriptor: Int32, token: UInt64, interest: PollInterest) throws(SocketError) {
        let status = cposix_kqueue_change(queue, descriptor, token, interest.rawValue)
        _ = try systemCall("kevent", status)
    }

    func change(_ descriptor: Int32, token: UInt64, interest: PollInterest) {
        let status = cposix_kqueue_change(queue, descriptor, token, interest.rawValue)
        precondition(status == 0, "changed a descriptor that the poller does not know")
    }

    func remove(_ descriptor: Int32, token: UInt64) {
        let status = cposix_kqueue_change(queue, descriptor, token, 0)
        precondition(status == 0, "removed a descriptor that the poller does not know")
    }

    func wait(milliseconds: Int32, into ready: inout [PolledDescriptor]) {
        ready.removeAll(keepingCapacity: true)
        unsafe withUnsafeTemporaryAllocation(
            of: cposix_ready.self,
            capacity: PollLimits.readyLimit
        ) { found in
            let limit = Int32(PollLimits.readyLimit)
            let count = unsafe cposix_kqueue_wait(queue, found.baseAddress, limit, milliseconds)
            for index in 0..<max(0, Int(count)) {
                let entry = unsafe found[index]
                let events = PollEvents(rawValue: entry.events)
                ready.append(PolledDescriptor(token: entry.token, events: events))
            }
        }
    }
}
#endif
