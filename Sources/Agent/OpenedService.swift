import EventLoop
import Primitives
import SecureChannel
import Sockets
import Wire

/// A stream to a service that stands, off the loop's hands.
struct OpenedService: Sendable {
    let stream: DetachedStream
    /// The keys of the stream; nil where streams are not sealed.
    let records: RecordLayer?
    let node: NodeID?
    /// What the member took of what was offered.
    let features: ServiceFeatures

    init(
        stream: DetachedStream,
        records: RecordLayer?,
        node: NodeID?,
        features: ServiceFeatures
    ) {
        self.stream = stream
        self.records = records
        self.node = node
        self.features = features
    }

    /// Takes a connection off the loop; nil if it is not open any more.
    init?(
        detaching connection: any StreamConnection,
        node: NodeID?,
        features: ServiceFeatures
    ) {
        if let sealed = connection as? SealedStream {
            guard let detached = sealed.detach() else { return nil }
            self.init(
                stream: detached.stream,
                records: detached.records,
                node: node,
                features: features
            )
        } else {
            guard let stream = connection as? SocketStream, let detached = stream.detach(),
                detached.unsent.isEmpty
            else { return nil }
            self.init(stream: detached, records: nil, node: node, features: features)
        }
    }
}

/// A stream to a service that stands and is still in the loop's hands; used on the loop only.
final class HeldService: @unchecked Sendable {
    private let connection: any StreamConnection
    private let node: NodeID?
    private let features: ServiceFeatures
    let way: StreamWay
    /// Hears what comes, and the end.
    var onEvent: (@Sendable (StreamEvent) -> Void)?

    init(
        _ connection: any StreamConnection,
        node: NodeID?,
        features: ServiceFeatures,
        way: StreamWay
    ) {
        self.connection = connection
        self.node = node
        self.features = features
        self.way = way
    }

    func handle(_ event: StreamEvent) { onEvent?(event) }

    func send(_ bytes: [UInt8]) { connection.send(bytes) }

    func close() {
        onEvent = nil
        connection.close()
    }

    /// Takes the stream off the loop; nil if it has ended.
    func take() -> OpenedService? {
        onEvent = nil
        return OpenedService(detaching: connection, node: node, features: features)
    }
}

/// Who has opened a stream.
enum StreamWay {
    case dialled
    /// The member, because it was asked to.
    case dialledBack
}
