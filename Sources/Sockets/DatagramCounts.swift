/// What went through a datagram socket so far.
package struct DatagramCounts: Equatable, Sendable {
    package var packetsSent: UInt64 = 0
    package var bytesSent: UInt64 = 0
    package var packetsReceived: UInt64 = 0
    package var bytesReceived: UInt64 = 0
    /// Not sent: the socket's buffer was full.
    package var droppedForBufferSpace: UInt64 = 0
    /// Not sent: larger than the network takes.
    package var droppedForSize: UInt64 = 0
    /// Not sent for another reason; mostly that there is no way to the destination.
    package var droppedAsUnreachable: UInt64 = 0
    /// What the system told instead of a datagram.
    package var receiveErrors: UInt64 = 0
    /// Received, but not on an interface that the socket belongs to, or too large for it.
    package var ignored: UInt64 = 0
}

/// The counters behind `DatagramCounts`: one thread adds, any thread reads.
final class DatagramCounters: Sendable {
    let packetsSent = Counter()
    let bytesSent = Counter()
    let packetsReceived = Counter()
    let bytesReceived = Counter()
    let droppedForBufferSpace = Counter()
    let droppedForSize = Counter()
    let droppedAsUnreachable = Counter()
    let receiveErrors = Counter()
    let ignored = Counter()

    func noteSent(_ byteCount: Int, errno: Int32) {
        guard errno != 0 else {
            packetsSent.add()
            bytesSent.add(byteCount)
            return
        }
        switch SocketFailure(errno: errno) {
        case .wouldBlock, .noBufferSpace, .exhausted: droppedForBufferSpace.add()
        case .messageTooLong: droppedForSize.add()
        default: droppedAsUnreachable.add()
        }
    }

    func noteReceived(_ datagram: ArrivedDatagram) {
        packetsReceived.add()
        bytesReceived.add(datagram.byteCount)
    }

    var snapshot: DatagramCounts {
        DatagramCounts(
            packetsSent: packetsSent.total,
            bytesSent: bytesSent.total,
            packetsReceived: packetsReceived.total,
            bytesReceived: bytesReceived.total,
            droppedForBufferSpace: droppedForBufferSpace.total,
            droppedForSize: droppedForSize.total,
            droppedAsUnreachable: droppedAsUnreachable.total,
            receiveErrors: receiveErrors.total,
            ignored: ignored.total
        )
    }
}
