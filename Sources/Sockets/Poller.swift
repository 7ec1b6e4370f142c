/// What one wants to know about a descriptor.
struct PollInterest: OptionSet, Sendable {
    let rawValue: UInt32

    static let readable = PollInterest(rawValue: 1)
    static let writable = PollInterest(rawValue: 2)
}

/// What is known about a descriptor now.
struct PollEvents: OptionSet, Sendable {
    let rawValue: UInt32

    static let readable = PollEvents(rawValue: 1)
    static let writable = PollEvents(rawValue: 2)
    /// Both directions have ended; reported unasked, as long as it holds.
    static let hangup = PollEvents(rawValue: 4)
    /// The socket has an error, which the next call tells; reported unasked, as long as it holds.
    static let failed = PollEvents(rawValue: 8)

    /// Whether reading would bring something: bytes, an end or an error.
    var wantReading: Bool { !isDisjoint(with: [.readable, .hangup, .failed]) }
    /// Whether writing would bring something: progress or an error.
    var wantWriting: Bool { !isDisjoint(with: [.writable, .hangup, .failed]) }
}

/// A descriptor about which there is something to know.
struct PolledDescriptor {
    /// The name under which it was added; never used twice, unlike descriptors.
    let token: UInt64
    let events: PollEvents
}

/// The system's way to wait for many descriptors; level-triggered.
///
/// Used by one thread only, which owns the poller.
protocol Poller: AnyObject, Sendable {
    func add(_ descriptor: Int32, token: UInt64, interest: PollInterest) throws(SocketError)

    /// Changes the interest in a descriptor that was added.
    func change(_ descriptor: Int32, token: UInt64, interest: PollInterest)

    /// Forgets a descriptor that was added and is still open.
    func remove(_ descriptor: Int32, token: UInt64)

    /// Waits until a descriptor is ready or the time is over; -1 waits for ever.
    ///
    /// Replaces the contents of `ready` by at most `PollLimits.readyLimit` descriptors.
    func wait(milliseconds: Int32, into ready: inout [PolledDescriptor])
}

enum PollLimits {
    /// How many ready descriptors are taken at once.
    static let readyLimit = 64
}

/// Which of the system's ways to wait a loop uses.
package enum PollMechanism: Sendable, CaseIterable {
    /// epoll on Linux, kqueue on Darwin and the BSDs.
    case best
    /// poll(2), which every system has. Fine for some hundred descriptors.
    case poll

    func makePoller() throws(SocketError) -> any Poller {
        switch self {
        case .best:
            #if os(Linux) || os(Android)
            try EpollPoller()
            #else
            try KqueuePoller()
            #endif
        case .poll:
            PollPoller()
        }
    }
}
