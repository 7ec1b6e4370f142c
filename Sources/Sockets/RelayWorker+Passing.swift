internal import CPosix
internal import EventLoop
internal import SecureChannel

// Bytes go from one side to the other, opened, filtered and sealed.
extension RelayWorker {
    /// Moves bytes in one direction until one side blocks or others should have their turn.
    func pass(from side: RelaySide, of pair: RelayPair) throws(StreamClosure) {
        let source = pair[side].socket
        for _ in 0..<RelayLimits.readBatchLimit {
            guard try writePending(side, pair) else { return }
            if side == .first, pair.opening?.waiting.isEmpty == false { return }
            if pair[from: side].sourceEnded {
                return try shut(side, pair)
            }
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
    func take(
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

    func writeFiltered(_ pair: RelayPair) throws(StreamClosure) {
        let (first, second) = (toFirst, toSecond)
        toFirst = []
        toSecond = []
        if !second.isEmpty { try put(second, .first, pair) }
        if !first.isEmpty { try put(first, .second, pair) }
    }

    /// Seals bytes where the sink is sealed, and writes them or keeps them.
    func put(
        _ bytes: [UInt8],
        _ side: RelaySide,
        _ pair: RelayPair
    ) throws(StreamClosure) {
        if side == .first, pair.opening != nil {
            pair.opening?.waiting += bytes
            return
        }
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
    func writePending(
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
        // Nobody is there to hear of it; what was never needed is not opened any more.
        if pair.opening != nil { throw .ended }
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
