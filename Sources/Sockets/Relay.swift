package import EventLoop
package import Primitives
package import SecureChannel
internal import Synchronization

/// Joins pairs of connections, so that bytes pass both ways until either side ends.
///
/// Runs on a thread of its own, which starts with the first pair and serves all of them: bulk
/// data never delays the agent's loop. Callable from any thread.
package final class Relay: Sendable {
    private let name: String
    private let mechanism: PollMechanism
    private let pairLimit: Int
    private let counters = RelayCounters()
    private let state = Mutex(State.idle)

    private enum State {
        case idle
        case running(RelayWorker)
        case stopped
    }

    package init(
        name: String = "relay",
        mechanism: PollMechanism = .best,
        pairLimit: Int = RelayLimits.pairLimit
    ) {
        self.name = name
        self.mechanism = mechanism
        self.pairLimit = pairLimit
    }

    /// Connects to a local server and joins the stream to it.
    ///
    /// `first` are bytes of the stream that were read already. If the server does not answer, the
    /// stream is closed, so that its peer sees a reset. `onEnd` is called on the relay's thread.
    package func splice(
        _ stream: DetachedStream,
        first: [UInt8] = [],
        to local: Endpoint,
        options: RelayOptions = RelayOptions(),
        onEnd: (@Sendable (RelayResult) -> Void)? = nil
    ) {
        let socket = Socket(owning: stream.descriptor)
        perform(on: [socket], onEnd: onEnd) {
            $0.splice(socket, stream.unsent, first: first, to: local, options, onEnd: onEnd)
        }
    }

    /// Joins two streams that both stand.
    ///
    /// `first` are bytes that were read from the left one already.
    package func join(
        _ left: DetachedStream,
        first: [UInt8] = [],
        _ right: DetachedStream,
        options: RelayOptions = RelayOptions(),
        onEnd: (@Sendable (RelayResult) -> Void)? = nil
    ) {
        let leftSocket = Socket(owning: left.descriptor)
        let rightSocket = Socket(owning: right.descriptor)
        perform(on: [leftSocket, rightSocket], onEnd: onEnd) {
            $0.join(
                leftSocket,
                left.unsent,
                first,
                rightSocket,
                right.unsent,
                options,
                onEnd: onEnd
            )
        }
    }

    /// Joins a stream to one that is opened when the pair's filter first has something for it.
    ///
    /// Until then the filter alone answers. `open` is called on the relay's thread, at most once.
    package func join(
        _ stream: DetachedStream,
        first: [UInt8] = [],
        options: RelayOptions,
        opening open: @escaping RelayOpening.Open,
        onEnd: (@Sendable (RelayResult) -> Void)? = nil
    ) {
        let socket = Socket(owning: stream.descriptor)
        perform(on: [socket], onEnd: onEnd) {
            $0.join(socket, stream.unsent, first, open, options, onEnd: onEnd)
        }
    }

    /// Closes a stream that leads nowhere, so that its peer sees a reset.
    package func discard(_ stream: DetachedStream) {
        Socket(owning: stream.descriptor).abort()
    }

    /// Ends the pairs whose tag fits, at once: both peers see a reset.
    package func end(where fits: @escaping @Sendable (RelayTag) -> Bool) {
        let running = state.withLock { state -> RelayWorker? in
            guard case .running(let worker) = state else { return nil }
            return worker
        }
        running?.loop.execute { running?.assumeIsolated { $0.end(where: fits) } }
    }

    package var counts: RelayCounts { counters.snapshot }

    /// Closes all pairs and ends the thread; not called on the relay's thread.
    ///
    /// Returns when the thread has ended.
    package func stop() {
        let previous = state.withLock { state in
            defer { state = .stopped }
            return state
        }
        guard case .running(let worker) = previous else { return }
        worker.loop.execute { worker.assumeIsolated { $0.closeAll() } }
        worker.loop.stop()
        worker.loop.waitUntilStopped()
    }

    private func perform(
        on sockets: [Socket],
        onEnd: (@Sendable (RelayResult) -> Void)?,
        _ action: @escaping @Sendable (isolated RelayWorker) -> Void
    ) {
        do throws(SocketError) {
            guard let worker = try startedWorker() else {
                return give(up: sockets, .closedHere, onEnd)
            }
            worker.loop.execute { worker.assumeIsolated(action) }
        } catch {
            give(up: sockets, .failed(errno: error.errno), onEnd)
        }
    }

    private func give(
        up sockets: [Socket],
        _ closure: StreamClosure,
        _ onEnd: (@Sendable (RelayResult) -> Void)?
    ) {
        counters.failed.add()
        for socket in sockets { socket.abort() }
        onEnd?(RelayResult(ending: closure, bytesFromFirst: 0, bytesToFirst: 0))
    }

    /// Nil when the relay was stopped.
    private func startedWorker() throws(SocketError) -> RelayWorker? {
        try state.withLock { state throws(SocketError) in
            switch state {
            case .running(let worker):
                return worker
            case .stopped:
                return nil
            case .idle:
                let loop = try PollLoop(name: name, mechanism: mechanism)
                let worker = RelayWorker(on: loop, pairLimit: pairLimit, counters: counters)
                state = .running(worker)
                return worker
            }
        }
    }
}

/// For whom a pair was made.
package struct RelayTag: Equatable, Sendable {
    /// In whose name; nil for what is not fenced.
    package var ballot: Ballot?
    /// The device at the other end; nil if it is not known.
    package var node: NodeID?

    package init(ballot: Ballot? = nil, node: NodeID? = nil) {
        self.ballot = ballot
        self.node = node
    }
}

/// What is special about a pair.
package struct RelayOptions: Sendable {
    /// The keys of the first connection, if it is sealed.
    package var firstRecords: RecordLayer?
    package var secondRecords: RecordLayer?
    package var tag = RelayTag()
    /// Makes what sees the pair's bytes; called on the relay's thread.
    package var makeFilter: (@Sendable () -> any RelayFilter)?

    package init(
        firstRecords: RecordLayer? = nil,
        secondRecords: RecordLayer? = nil,
        tag: RelayTag = RelayTag(),
        makeFilter: (@Sendable () -> any RelayFilter)? = nil
    ) {
        self.firstRecords = firstRecords
        self.secondRecords = secondRecords
        self.tag = tag
        self.makeFilter = makeFilter
    }
}

package enum RelayLimits {
    /// How many pairs a relay serves; further ones are closed at once.
    package static let pairLimit = 512
    /// How many bytes are read at once, so that an answer of 64 KiB (the odds of a vocabulary of
    /// 16,384) with its length goes in one piece: a rest of a few bytes would be waited for.
    ///
    /// At most two such pieces of a pair wait in each direction, and a record that is not whole;
    /// idle pairs hold no memory.
    package static let directionByteLimit = 128 << 10
    /// How long a local server may take to accept a connection.
    package static let connectLimit: Duration = .seconds(5)
    /// How many reads of one direction are done before others get their turn.
    static let readBatchLimit = 4
    /// How long a relay looks on without sleeping where more is on its way.
    static let patience: Duration = .microseconds(200)
}

/// How a pair ended, and what passed through it.
package struct RelayResult: Equatable, Sendable {
    /// `.ended` if both sides ended in order, `.closedHere` if the relay was stopped.
    package let ending: StreamClosure
    package let bytesFromFirst: UInt64
    package let bytesToFirst: UInt64
}

/// What a relay did so far.
package struct RelayCounts: Equatable, Sendable {
    package var activePairs: UInt64 = 0
    package var endedPairs: UInt64 = 0
    /// Pairs that ended by an error, or never came to stand.
    package var failedPairs: UInt64 = 0
    /// From the first side of each pair, which for `splice` is the stream from outside.
    package var bytesFromFirst: UInt64 = 0
    package var bytesToFirst: UInt64 = 0
}

final class RelayCounters: Sendable {
    let begun = Counter()
    let finished = Counter()
    let failed = Counter()
    let bytesFromFirst = Counter()
    let bytesToFirst = Counter()

    var snapshot: RelayCounts {
        // Read in this order: a pair is begun before it is finished.
        let finished = finished.total
        return RelayCounts(
            activePairs: begun.total - finished,
            endedPairs: finished,
            failedPairs: failed.total,
            bytesFromFirst: bytesFromFirst.total,
            bytesToFirst: bytesToFirst.total
        )
    }
}
