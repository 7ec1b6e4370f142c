package import Primitives

/// Where the datagrams that arrive at an agent go.
///
/// Called on the loop.
package protocol DatagramReceiver: AnyObject, Sendable {
    /// Takes one whole datagram, possibly empty; the bytes are valid only during the call.
    func receive(_ bytes: Span<UInt8>, from source: Endpoint)

    /// The system at the address says that nobody listens there; told where systems tell it, and
    /// not for every datagram.
    func refused(by destination: Endpoint)
}

/// Sends datagrams from an agent's own address.
///
/// Called on the loop.
package protocol DatagramTransport: AnyObject, Sendable {
    /// Sends one datagram or drops it; a full socket buffer or an unreachable network is loss,
    /// which gossip expects, not an error.
    func send(_ bytes: Span<UInt8>, to destination: Endpoint)
}

/// What happens on a stream.
///
/// Delivered on the loop.
package enum StreamEvent: Sendable {
    /// The connection that was asked for stands.
    case opened
    /// Bytes arrived; never empty.
    case received([UInt8])
    /// The stream is gone; nothing follows.
    case closed(StreamClosure)
}

/// Why a stream ended.
package enum StreamClosure: Error, Sendable, Hashable {
    /// Nobody listens at the address.
    case refused
    /// No route, or the local network is down.
    case unreachable
    /// The connection did not stand within the time given.
    case timedOut
    /// The other side closed in order.
    case ended
    /// The other side went away without closing: its process died or it refused what was sent.
    case reset
    /// We closed it, or it was handed over.
    case closedHere
    /// The other side does not read: more than the limit waited to be sent.
    case overflow(byteCount: Int)
    /// Anything else, with the system's error number.
    case failed(errno: Int32)
}

/// A byte stream to another process.
///
/// Used on the loop only.
package protocol StreamConnection: AnyObject, Sendable {
    var peer: Endpoint { get }

    /// Queues bytes; past `StreamLimits.outboundByteLimit` waiting, the stream closes with
    /// `.overflow`.
    func send(_ bytes: [UInt8])

    /// Sends what is queued, then closes. `.closed(.closedHere)` follows.
    func close()

    /// Nothing will be said on the stream for hours: it is not kept awake more than needed.
    func expectSilence()
}

/// Opens and passes on streams.
///
/// Used on the loop only.
package protocol StreamTransport: AnyObject, Sendable {
    /// Starts to connect; `onEvent` hears `.opened` or `.closed`, later and on the loop.
    func connect(
        to destination: Endpoint,
        timeout: Duration,
        onEvent: @escaping @Sendable (StreamEvent) -> Void
    ) -> any StreamConnection

    /// Joins a stream to a local server: from now on bytes pass both ways, away from the loop,
    /// until either side ends. `first` are bytes of the stream that were read already.
    /// `.closed(.closedHere)` follows for the connection at once.
    ///
    /// - Parameter ballot: in whose name; nil for what is not fenced.
    func splice(
        _ connection: any StreamConnection,
        first: [UInt8],
        to local: Endpoint,
        under ballot: Ballot?
    )

    /// Ends at once what was spliced in the name of a lower ballot of another master.
    func endSplices(before ballot: Ballot)

    /// Ends at once what passes between this machine and a member that is gone.
    func endSplices(with member: NodeID)
}

package enum StreamLimits {
    /// How many bytes may wait on a control stream, before its peer counts as not reading.
    package static let outboundByteLimit = 1 << 20
    /// How many streams from outside an agent keeps before it closes the newest ones at once.
    package static let inboundStreamLimit = 256
}
