package import NIOCore

/// What the gateway bounds, so that no client can make an agent grow or wait without end.
package struct GatewayLimits: Sendable {
    /// The largest request body, in bytes; a larger one is refused with 413.
    package var bodyByteLimit = 8 << 20
    /// All request bodies held at one moment, in bytes; past it new ones are refused with 503.
    package var heldBodyByteLimit = 48 << 20
    /// How long a client may take to send a request's body; then 408.
    package var bodyTimeLimit: TimeAmount = .seconds(30)
    /// How long a client may take to send a request's head, or to start its next request.
    package var headTimeLimit: TimeAmount = .seconds(20)
    /// One header field, and all of them, in bytes.
    package var headerByteLimit = 32 << 10
    package var headerCountLimit = 100
    /// Connections open at one moment; further ones wait in the listen queue.
    package var connectionLimit = 256
    /// How long a refused client that still sends may read its answer before it is cut off.
    package var lingerTimeLimit: TimeAmount = .seconds(1)
    /// How long a client may take to read what it was sent, once the agent stops.
    package var shutdownTimeLimit: TimeAmount = .seconds(2)
    /// A response of the master that is no event stream is held back up to this size, in bytes,
    /// so that a master that dies in the middle still gives a proper error.
    package var heldResponseByteLimit = 1 << 20
    /// How long the master's gateway may take for a forwarded request.
    package var forwardTimeLimit: TimeAmount = .seconds(30)
    /// How often a silent event stream is shown to be alive.
    package var heartbeatInterval: TimeAmount = .seconds(15)

    package init() {}
}
