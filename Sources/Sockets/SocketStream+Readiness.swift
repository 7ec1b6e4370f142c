internal import CPosix
internal import EventLoop

extension SocketStream: PollHandler {
    nonisolated func ready(_ events: PollEvents) {
        assumeIsolated { $0.handle(events) }
    }

    func handle(_ events: PollEvents) {
        switch state {
        case .connecting:
            finishConnecting()
        case .open:
            if events.wantReading { readWhenOpen() }
            if case .open = state, events.wantWriting { writeWhenOpen() }
        case .flushing(let peerEnded):
            if events.wantReading, !peerEnded { discardOnce() }
            if case .flushing = state { flush() }
        case .draining:
            discardOnce()
        case .ending, .closed:
            return
        }
    }

    /// Reads once, so that a busy stream cannot starve the others; the rest stays ready.
    func readWhenOpen() {
        switch readOnce() {
        case .moved(0): end(.ended)
        case .moved, .wouldBlock: return
        case .failed(let errno): end(.init(connected: errno))
        }
    }

    /// Reads what a peer sent before it broke the connection.
    func readRest() {
        for _ in 0..<StreamTiming.lastReadLimit {
            guard case .moved(let count) = readOnce(), count > 0 else { return }
        }
    }

    func readOnce() -> TransferResult {
        // Sized by what waits: events are kept by their receivers, and should not be large.
        let size = max(1, min(socket.availableByteCount, StreamTiming.readByteLimit))
        var bytes = [UInt8](repeating: 0, count: size)
        let result = socket.receive(into: &bytes)
        if case .moved(let count) = result, count > 0 {
            if count < bytes.count { bytes.removeLast(bytes.count - count) }
            onEvent?(.received(bytes))
        }
        return result
    }

    func discardOnce() {
        var bytes = [UInt8](repeating: 0, count: StreamTiming.readByteLimit)
        switch socket.receive(into: &bytes) {
        case .moved(0):
            if case .flushing = state {
                state = .flushing(peerEnded: true)
                setInterest(.writable)
            } else {
                disappear()
            }
        case .moved, .wouldBlock:
            return
        case .failed:
            end(.closedHere)
        }
    }

    func writeWhenOpen() {
        switch writeQueued() {
        case .moved, .wouldBlock:
            updateInterest()
        case .failed(let errno):
            // What the peer said before it went may say why: it is read first.
            endLater(reading: true, .init(connected: errno))
        }
    }

    /// Writes until nothing waits or the system takes no more.
    ///
    /// - Parameter endFollows: our side is shut right afterwards.
    func writeQueued(endFollows: Bool = false) -> TransferResult {
        while let (bytes, range) = outbound.next {
            let isLast = range.count == outbound.byteCount
            let result = socket.send(bytes, range, moreFollows: !isLast || endFollows)
            guard case .moved(let count) = result else { return result }
            outbound.consume(count)
        }
        return .moved(0)
    }

    /// Sends what is queued after `close()`, and then shuts our side.
    func flush() {
        guard case .flushing(let peerEnded) = state else { return }
        if case .failed = writeQueued(endFollows: true) {
            end(.closedHere)
            return
        }
        guard outbound.isEmpty else {
            setInterest(peerEnded ? .writable : [.readable, .writable])
            return
        }
        if peerEnded || cposix_shutdown_write(socket.descriptor) < 0 {
            end(.closedHere)
            return
        }
        state = .draining
        setInterest(.readable)
        report(.closedHere)
    }

    func lingerEnded() {
        // Bytes that were never taken must not look like all of them.
        if !outbound.isEmpty { socketAbort() }
        end(.closedHere)
    }
}
