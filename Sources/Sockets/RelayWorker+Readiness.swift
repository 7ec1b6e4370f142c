internal import CPosix
internal import EventLoop

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

// Which side is ready for what.
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
                try pass(on: events, side, pair)
                muteIfSpent(events, side, pair)
                if pair.filter?.expectsMore == true { loop.stayAwake(for: RelayLimits.patience) }
            }
            if pair.fromFirst.isShut, pair.toFirst.isShut { throw .ended }
            askForSecond(id, pair)
            try updateInterests(id, pair)
        } catch {
            finish(id, error)
        }
    }

    /// Moves what the events allow; a side that has nothing is not asked for it in vain.
    private func pass(
        on events: PollEvents,
        _ side: RelaySide,
        _ pair: RelayPair
    ) throws(StreamClosure) {
        guard pair.opening == nil else {
            try pass(from: .first, of: pair)
            if side == .first, events.contains(.hangup), pair.opening != nil { throw .ended }
            _ = try writePending(.second, pair)
            return
        }
        if events.wantReading { try pass(from: side, of: pair) }
        if events.wantWriting || pair.filter?.hasMore(for: side) == true {
            try pass(from: side.other, of: pair)
        }
    }

    /// A filter has something to say, or takes more than before.
    func goOn(_ id: UInt64) {
        guard let pair = pairs[id], pair.connectTimer == nil, pair.opening == nil else { return }
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

    func watch(
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

    func updateInterests(_ id: UInt64, _ pair: RelayPair) throws(StreamClosure) {
        for side in RelaySide.allCases where pair.connectTimer == nil {
            let interest = pair.interest(of: side)
            if let token = pair[side].token {
                guard interest != pair[side].interest else { continue }
                pair[side].interest = interest
                loop.change(token, to: interest)
            } else if pair[side].number >= 0, !interest.isEmpty || pair.opening != nil {
                // Who waits for the second side and goes must be seen to go.
                try watch(side, of: id, pair, interest)
            }
        }
    }
}
