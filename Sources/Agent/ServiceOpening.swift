import EventLoop
import Gateway
import Primitives
import Runtime
import Wire

/// A stream to a service that is being opened.
struct ServiceOpening {
    let request: [Frame]
    /// What the service is asked right after it; only what may be asked twice.
    var first: [UInt8] = []
    /// Who must answer; nil for a server on this machine.
    let node: NodeID?
    /// What stands, or may come to stand.
    var connections: [StreamWay: any StreamConnection] = [:]
    /// The stream that was dialled ahead, until something has come over it.
    var spare: SpareStreams.Spare?
    /// The way of the stream that stands; the other one is given up.
    var way: StreamWay?
    var reader = FrameReader()
    let offered: ServiceFeatures
    var features: ServiceFeatures = []
    /// Why dialling failed; nil while it may still succeed.
    var dialFailure: String?
    /// Nobody said no: packets to the member get lost.
    var isSilent = false
    /// The member is asked to dial.
    var isAsked = false
    let completion: Completion

    /// The stream that stands.
    var connection: (any StreamConnection)? { way.flatMap { connections[$0] } }

    enum Completion {
        /// The stream is taken off the loop.
        case opens(@Sendable (Result<OpenedService, GatewayRefusal>) -> Void)
        /// The stream stays on the loop for now.
        case holds(@Sendable (Result<HeldService, GatewayRefusal>) -> Void)
    }
}

/// How members are asked to dial who cannot be dialled; called on the loop.
struct DialBacks: Sendable {
    /// Whether a member is better asked than dialled.
    var isBetter: @Sendable (NodeID) -> Bool
    /// A member could not be dialled.
    var failed: @Sendable (NodeID, StreamClosure) -> Void
    var ask:
        @Sendable (
            NodeID,
            _ onStream:
                @escaping @Sendable (any StreamConnection) ->
                @Sendable (StreamEvent) -> Void,
            _ onFailure: @escaping @Sendable () -> Void
        ) -> Void
}

extension StreamClosure {
    /// Whether no stream could be opened at all.
    var isNoWay: Bool {
        switch self {
        case .refused, .unreachable, .timedOut: true
        case .ended, .reset, .closedHere, .overflow, .failed: false
        }
    }
}

extension FrameReader {
    var takesNothingMore: Bool { unreadByteCount == 0 }
}
