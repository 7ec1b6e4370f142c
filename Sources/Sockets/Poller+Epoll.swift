#if os(Linux) || os(Android)
internal import CPosix

/// Waits by epoll(7).
final class EpollPoller: Poller {
    private let epoll: Int32

    init() throws(SocketError) {
        epoll = try systemCall("epoll_create1", cposix_epoll_create())
    }

    deinit {
        cposix_close(epoll)
    }

    func add(_ descriptor: Int32, token: UInt64, interest: PollInterest) throws(SocketError) {
        let status = cposix_epoll_add(epoll, descriptor, token, interest.rawValue)
        _ = try systemCall("epoll_ctl", status)
    }

    func change(_ descriptor: Int32, token: UInt64, interest: PollInterest) {
        let status = cposix_epoll_change(epoll, descriptor, token, interest.rawValue)
        precondition(status == 0, "changed a descriptor that the poller does not know")
    }

    func remove(_ descriptor: Int32, token: UInt64) {
        let status = cposix_epoll_remove(epoll, descriptor)
        precondition(status == 0, "removed a descriptor that the poller does not know")
    }

    func wait(milliseconds: Int32, into ready: inout [PolledDescriptor]) {
        ready.removeAll(keepingCapacity: true)
        unsafe withUnsafeTemporaryAllocation(
            of: cposix_ready.self,
            capacity: PollLimits.readyLimit
        ) { found in
            let limit = Int32(PollLimits.readyLimit)
            let count = unsafe cposix_epoll_wait(epoll, found.baseAddress, limit, milliseconds)
            for index in 0..<max(0, Int(count)) {
                let entry = unsafe found[index]
                let events = PollEvents(rawValue: entry.events)
                ready.append(PolledDescriptor(token: entry.token, events: events))
            }
        }
    }
}
#endif
