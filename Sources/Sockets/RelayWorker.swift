internal import CPosix
internal import EventLoop
internal import Primitives
internal import SecureChannel

/// The side of a relay that runs on its thread.
actor RelayWorker {
    nonisolated let loop: PollLoop
    nonisolated let counters: RelayCounters
    let pairLimit: Int
    var pairs: [UInt64: RelayPair] = [:]
    var lastPair: UInt64 = 0
    /// Shared by all pairs: a pair keeps only what could not be passed on at once.
    var buffer = [UInt8](repeating: 0, count: RelayLimits.directionByteLimit)
    /// Used again and again: what was opened, and what a filter says.
    var opened: [UInt8] = []
    var toFirst: [UInt8] = []
    var toSecond: [UInt8] = []
    var sealed: [UInt8] = []

    init(on loop: PollLoop, pairLimit: Int, counters: RelayCounters) {
        self.loop = loop
        self.pairLimit = pairLimit
        self.counters = counters
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.asUnownedSerialExecutor()
    }

    func splice(
        _ remote: Socket,
        _ unsent: [UInt8],
        first: [UInt8],
        to local: Endpoint,
        _ options: RelayOptions,
        onEnd: (@Sendable (RelayResult) -> Void)?
    ) {
        let pair = RelayPair(
            remote,
            Socket(owning: -1),
            fromFirst: [],
            toFirst: unsent,
            options,
            onEnd
        )
        guard let id = add(pair) else { return }
        do throws(StreamClosure) {
            try take(first, from: .first, of: pair)
            try connect(pair, id, to: local)
        } catch {
            finish(id, error)
        }
    }

    private func connect(
        _ pair: RelayPair,
        _ id: UInt64,
        to local: Endpoint
    ) throws(StreamClosure) {
        do throws(SocketError) {
            pair.second.socket = try Socket.make(.streams, for: local.address)
        } catch {
            throw .failed(errno: error.errno)
        }
        if let errno = pair.second.socket.startConnecting(to: local, from: nil) {
            throw .init(connecting: errno)
        }
        try watch(.second, of: id, pair, .writable)
        pair.connectTimer = loop.schedule(after: RelayLimits.connectLimit) {
            self.assumeIsolated { $0.finish(id, .timedOut) }
        }
    }

    func join(
        _ left: Socket,
        _ leftUnsent: [UInt8],
        _ first: [UInt8],
        _ right: Socket,
        _ rightUnsent: [UInt8],
        _ options: RelayOptions,
        onEnd: (@Sendable (RelayResult) -> Void)?
    ) {
        let pair = RelayPair(
            left,
            right,
            fromFirst: rightUnsent,
            toFirst: leftUnsent,
            options,
            onEnd
        )
        guard let id = add(pair) else { return }
        do throws(StreamClosure) {
            try take(first, from: .first, of: pair)
            try updateInterests(id, pair)
        } catch {
            finish(id, error)
        }
    }

    func join(
        _ left: Socket,
        _ leftUnsent: [UInt8],
        _ first: [UInt8],
        _ open: @escaping RelayOpening.Open,
        _ options: RelayOptions,
        onEnd: (@Sendable (RelayResult) -> Void)?
    ) {
        let none = Socket(owning: -1)
        let pair = RelayPair(left, none, fromFirst: [], toFirst: leftUnsent, options, onEnd)
        pair.opening = RelayOpening(open)
        guard let id = add(pair) else { return }
        do throws(StreamClosure) {
            try take(first, from: .first, of: pair)
            askForSecond(id, pair)
            try updateInterests(id, pair)
        } catch {
            finish(id, error)
        }
    }

    func closeAll() {
        for id in pairs.keys { finish(id, .closedHere) }
    }

    func end(where fits: @Sendable (RelayTag) -> Bool) {
        for id in pairs.keys.sorted() {
            guard let pair = pairs[id], fits(pair.options.tag) else { continue }
            finish(id, .closedHere)
        }
    }

    private func add(_ pair: RelayPair) -> UInt64? {
        counters.begun.add()
        guard pairs.count < pairLimit else {
            end(pair, .overflow(byteCount: 0))
            return nil
        }
        lastPair += 1
        pairs[lastPair] = pair
        setCheck(lastPair, pair)
        return lastPair
    }

    /// Lets the filter look at the pair from time to time, also when no byte moves.
    private func setCheck(_ id: UInt64, _ pair: RelayPair) {
        guard let interval = pair.filter?.checkInterval else { return }
        pair.checkTimer = loop.schedule(after: interval) {
            self.assumeIsolated { $0.check(id) }
        }
    }

    private func check(_ id: UInt64) {
        guard let pair = pairs[id], let filter = pair.filter else { return }
        let glance = RelayGlance(
            now: loop.now,
            isFirstBlocked: pair.toFirst.wantsWrite,
            isSecondBlocked: pair.fromFirst.wantsWrite
        )
        do throws(RelayFilterError) {
            try filter.check(glance)
            setCheck(id, pair)
        } catch {
            finish(id, .reset)
        }
    }

    func finish(_ id: UInt64, _ ending: StreamClosure) {
        guard let pair = pairs.removeValue(forKey: id) else { return }
        end(pair, ending)
    }

    private func end(_ pair: RelayPair, _ ending: StreamClosure) {
        if let timer = pair.connectTimer { loop.cancel(timer) }
        if let timer = pair.checkTimer { loop.cancel(timer) }
        for side in RelaySide.allCases {
            if let token = pair[side].token { loop.unwatch(token) }
            pair[side].token = nil
            // What was cut off must not look complete.
            if ending == .ended { pair[side].socket.close() } else { pair[side].socket.abort() }
        }
        if ending != .ended, ending != .closedHere { counters.failed.add() }
        counters.finished.add()
        pair.onEnd?(
            RelayResult(
                ending: ending,
                bytesFromFirst: pair.fromFirst.byteCount,
                bytesToFirst: pair.toFirst.byteCount
            )
        )
    }
}
