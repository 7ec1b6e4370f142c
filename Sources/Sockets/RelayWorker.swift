internal import CPosix
internal import EventLoop
internal import Primitives
internal import SecureChannel

/// The side of a relay that runs on its thread.
actor RelayWorker {
    nonisolated let loop: PollLoop
    private nonisolated let counters: RelayCounters
    private let pairLimit: Int
    private var pairs: [UInt64: RelayPair] = [:]
    private var lastPair: UInt64 = 0
    /// Shared by all pairs: a pair keeps only what could not be passed on at once.
    private var buffer = [UInt8](repeating: 0, count: RelayLimits.directionByteLimit)
    /// Used again and again: what was opened, and what a filter says.
    private var opened: [UInt8] = []
    private var toFirst: [UInt8] = []
    private var toSecond: [UInt8] = []
    private var sealed: [UInt8] = []

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
        let id = lastPair
        pair.filter?.begin { [weak self] in
            guard let self else { return }
            loop.execute { self.assumeIsolated { $0.goOn(id) } }
        }
        return id
    }

    private func finish(_ id: UInt64, _ ending: StreamClosure) {
        guard let pair = pairs.removeValue(forKey: id) else { return }
        end(pair, ending)
    }

    private func end(_ pair: RelayPair, _ ending: StreamClosure) {
        if let timer = pair.connectTimer { loop.cancel(timer) }
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

// MARK: Readiness

/// Tells the worker which side of which pair is ready.
private final class RelayHandler: PollHandler {
    private let worker: RelayWorker
    private let pair: UInt64
    private let side: RelaySide

    init(_ worker: RelayWorker, _ pair: UInt64, _ side: RelaySide) {
        self.worker = worker
        self.pair = pair
        self.side = side
    }

    func ready(_ events: PollEvents) {
        worker.assumeIsolated { $0.handle(events, on: side, of: pair) }
    }
}

extension RelayWorker {
    fileprivate func handle(_ events: PollEvents, on side: RelaySide, of id: UInt64) {
        guard let pair = pairs[id] else { return }
        do throws(StreamClosure) {
            if pair.connectTimer != nil {
                try finishConnecting(id, pair)
            } else if events.contains(.failed) {
                // One side broke: the other must know at once, even if it does not read.
                let status = cposix_connect_result(pair[side].number)
                throw status < 0 ? StreamClosure(connected: -status) : .reset
            } else {
                try pass(from: .first, of: pair)
                try pass(from: .second, of: pair)
                muteIfSpent(events, side, pair)
            }
            if pair.fromFirst.isShut, pair.toFirst.isShut { throw .ended }
            try updateInterests(id, pair)
        } catch {
            finish(id, error)
        }
    }

    /// A filter has something to say, or takes more than before.
    fileprivate func goOn(_ id: UInt64) {
        guard let pair = pairs[id], pair.connectTimer == nil else { return }
        do throws(StreamClosure) {
            try pass(from: .first, of: pair)
            try pass(from: .second, of: pair)
            if pair.fromFirst.isShut, pair.toFirst.isShut { throw .ended }
            try updateInterests(id, pair)
        } catch {
            finish(id, error)
        }
    }

    private func finishConnecting(_ id: UInt64, _ pair: RelayPair) throws(StreamClosure) {
        let status = cposix_connect_result(pair.second.number)
        if status < 0 { throw StreamClosure(connecting: -status) }
        if pair.second.socket.isConnectedToItself { throw .refused }
        if let timer = pair.connectTimer { loop.cancel(timer) }
        pair.connectTimer = nil
        // `updateInterests`, which follows, brings the first side in.
    }

    /// A side that has hung up would be reported again and again, while the other side is slow.
    private func muteIfSpent(_ events: PollEvents, _ side: RelaySide, _ pair: RelayPair) {
        guard events.contains(.hangup), pair.interest(of: side).isEmpty,
            let token = pair[side].token
        else { return }
        loop.unwatch(token)
        pair[side].token = nil
    }

    private func watch(
        _ side: RelaySide,
        of id: UInt64,
        _ pair: RelayPair,
        _ interest: PollInterest
    ) throws(StreamClosure) {
        let handler = RelayHandler(self, id, side)
        do throws(SocketError) {
            pair[side].token = try loop.watch(pair[side].number, for: interest, handler)
        } catch {
            throw .failed(errno: error.errno)
        }
        pair[side].interest = interest
    }

    private func updateInterests(_ id: UInt64, _ pair: RelayPair) throws(StreamClosure) {
        for side in RelaySide.allCases where pair.connectTimer == nil {
            let interest = pair.interest(of: side)
            if let token = pair[side].token {
                guard interest != pair[side].interest else { continue }
                pair[side].interest = interest
                loop.change(token, to: interest)
            } else if !interest.isEmpty {
                try watch(side, of: id, pair, interest)
            }
        }
    }
}

// MARK: Passing bytes

extension RelayWorker {
    /// Moves bytes in one direction until one side blocks or others should have their turn.
    private func pass(from side: RelaySide, of pair: RelayPair) throws(StreamClosure) {
        let source = pair[side].socket
        for _ in 0..<RelayLimits.readBatchLimit {
            guard try writePending(side, pair) else { return }
            if try goOn(side, pair) { continue }
            if pair[from: side].sourceEnded {
                return try shut(side, pair)
            }
            guard pair.filter?.takesMore(from: side) != false else { return }
            switch source.receive(into: &buffer) {
            case .wouldBlock: return
            case .failed(let errno): throw StreamClosure(connected: errno)
            case .moved(0):
                // What has no mark of its end was cut.
                if pair[side].seal != nil { throw .reset }
                try noteEnd(of: side, pair)
            case .moved(let count):
                if let seal = pair[side].seal {
                    try open(count, seal, from: side, of: pair)
                } else if pair.filter == nil, pair[side.other].seal == nil {
                    try write(buffer, count, side, pair)
                } else {
                    try take(Array(buffer[..<count]), from: side, of: pair)
                }
            }
        }
    }

    /// Says what the filter has for the other side, if anything.
    private func goOn(_ side: RelaySide, _ pair: RelayPair) throws(StreamClosure) -> Bool {
        guard let filter = pair.filter, filter.hasMore(for: side.other) else { return false }
        do throws(RelayFilterError) {
            try filter.goOn(for: side.other, toFirst: &toFirst, toSecond: &toSecond)
        } catch {
            toFirst.removeAll()
            toSecond.removeAll()
            throw .reset
        }
        try writeFiltered(pair)
        return true
    }

    private func open(
        _ count: Int,
        _ seal: RelaySeal,
        from side: RelaySide,
        of pair: RelayPair
    ) throws(StreamClosure) {
        var opened = opened
        self.opened = []
        opened.removeAll(keepingCapacity: true)
        do throws(SecureChannelError) {
            try seal.records.receive(buffer[..<count], into: &opened)
        } catch {
            throw .reset
        }
        try take(opened, from: side, of: pair)
        self.opened = opened
        if seal.records.hasEnded { try noteEnd(of: side, pair) }
    }

    private func noteEnd(of side: RelaySide, _ pair: RelayPair) throws(StreamClosure) {
        guard !pair[from: side].sourceEnded else { return }
        if let filter = pair.filter {
            do throws(RelayFilterError) {
                try filter.ended(side, toFirst: &toFirst, toSecond: &toSecond)
            } catch {
                toFirst.removeAll()
                toSecond.removeAll()
                throw .reset
            }
            try writeFiltered(pair)
        }
        pair[from: side].noteSourceEnded()
        try shut(side, pair)
    }

    /// Passes on opened bytes of a side.
    private func take(
        _ bytes: [UInt8],
        from side: RelaySide,
        of pair: RelayPair
    ) throws(StreamClosure) {
        guard !bytes.isEmpty else { return }
        guard let filter = pair.filter else { return try put(bytes, side, pair) }
        do throws(RelayFilterError) {
            try filter.pass(bytes[...], from: side, toFirst: &toFirst, toSecond: &toSecond)
        } catch {
            toFirst.removeAll()
            toSecond.removeAll()
            throw .reset
        }
        try writeFiltered(pair)
    }

    private func writeFiltered(_ pair: RelayPair) throws(StreamClosure) {
        let (first, second) = (toFirst, toSecond)
        toFirst = []
        toSecond = []
        if !second.isEmpty { try put(second, .first, pair) }
        if !first.isEmpty { try put(first, .second, pair) }
    }

    /// Seals bytes where the sink is sealed, and writes them or keeps them.
    private func put(
        _ bytes: [UInt8],
        _ side: RelaySide,
        _ pair: RelayPair
    ) throws(StreamClosure) {
        guard let seal = pair[side.other].seal else {
            return try write(bytes, bytes.count, side, pair)
        }
        var sealed = sealed
        self.sealed = []
        sealed.removeAll(keepingCapacity: true)
        do throws(SecureChannelError) {
            try seal.records.seal(bytes[...], into: &sealed)
        } catch {
            throw .reset
        }
        try write(sealed, sealed.count, side, pair)
        self.sealed = sealed
    }

    /// Says whether nothing is pending any more.
    private func writePending(
        _ side: RelaySide,
        _ pair: RelayPair
    ) throws(StreamClosure) -> Bool {
        let sink = pair[side.other].socket
        while pair[from: side].wantsWrite {
            let direction = pair[from: side]
            switch sink.send(direction.pending, direction.pendingRange) {
            case .wouldBlock: return false
            case .failed(let errno): throw StreamClosure(connected: errno)
            case .moved(let count):
                pair[from: side].consume(count)
                note(count, side)
            }
        }
        return true
    }

    /// Writes bytes that nothing waits before, and keeps the rest.
    private func write(
        _ bytes: [UInt8],
        _ byteCount: Int,
        _ side: RelaySide,
        _ pair: RelayPair
    ) throws(StreamClosure) {
        // While the second side connects, or something waits, order demands patience.
        guard pair.connectTimer == nil, !pair[from: side].wantsWrite,
            pair[side.other].number >= 0
        else {
            pair[from: side].keep(bytes[..<byteCount])
            return
        }
        switch pair[side.other].socket.send(bytes, 0..<byteCount) {
        case .moved(let sent):
            pair[from: side].notePassed(sent)
            note(sent, side)
            if sent < byteCount { pair[from: side].keep(bytes[sent..<byteCount]) }
        case .wouldBlock:
            pair[from: side].keep(bytes[..<byteCount])
        case .failed(let errno):
            throw StreamClosure(connected: errno)
        }
    }

    /// Passes the end on, as soon as everything before it is written.
    private func shut(_ side: RelaySide, _ pair: RelayPair) throws(StreamClosure) {
        guard !pair[from: side].isShut else { return }
        if let seal = pair[side.other].seal, !pair[from: side].isMarked {
            var mark: [UInt8] = []
            try? seal.records.end(into: &mark)
            pair[from: side].noteMarked()
            try write(mark, mark.count, side, pair)
        }
        guard try writePending(side, pair) else { return }
        pair[from: side].noteShut()
        _ = cposix_shutdown_write(pair[side.other].number)
    }

    private func note(_ byteCount: Int, _ side: RelaySide) {
        switch side {
        case .first: counters.bytesFromFirst.add(byteCount)
        case .second: counters.bytesToFirst.add(byteCount)
        }
    }
}
