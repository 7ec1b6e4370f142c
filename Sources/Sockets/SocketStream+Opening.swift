internal import CPosix
internal import EventLoop
internal import Primitives

extension SocketStream {
    /// Takes an accepted connection into use.
    func begin(
        onEvent: @escaping @Sendable (StreamEvent) -> Void,
        onGone: @escaping @Sendable () -> Void
    ) {
        self.onEvent = onEvent
        self.onGone = onGone
        // Whoever was told of the stream may have sent, closed or passed it on already.
        switch state {
        case .open: startWatching(outbound.isEmpty ? .readable : [.readable, .writable])
        case .flushing: startWatching(.readable)
        case .connecting, .draining, .ending, .closed: return
        }
    }

    /// Starts to connect to its peer.
    ///
    /// - Parameter place: the peer, with the link on which it is.
    func connect(
        to place: Endpoint,
        from source: IPAddress?,
        timeout: Duration,
        onEvent: @escaping @Sendable (StreamEvent) -> Void
    ) {
        self.onEvent = onEvent
        if let errno = socket.startConnecting(to: place, from: source) {
            endLater(reading: false, .init(connecting: errno))
            return
        }
        startWatching(.writable)
        guard case .connecting = state else { return }
        setTimer(timeout) { $0.connectionEnded(.timedOut) }
    }

    /// Is a stream for which there was no socket.
    func fail(
        _ closure: StreamClosure,
        onEvent: @escaping @Sendable (StreamEvent) -> Void
    ) {
        self.onEvent = onEvent
        endLater(reading: false, closure)
    }

    func finishConnecting() {
        let status = cposix_connect_result(socket.descriptor)
        if status < 0 {
            connectionEnded(.init(connecting: -status))
        } else if socket.isConnectedToItself {
            connectionEnded(.refused)
        } else {
            cancelTimer()
            state = .open
            setInterest(.readable)
            if closesWhenOpen {
                beginClosing()
                return
            }
            onEvent?(.opened)
            if case .open = state { writeWhenOpen() }
        }
    }

    func connectionEnded(_ closure: StreamClosure) {
        end(closesWhenOpen ? .closedHere : closure)
    }
}
