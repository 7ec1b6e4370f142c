internal import CPosix
internal import Primitives
internal import Synchronization

/// A non-blocking socket that is closed once: by `close`, by `abort`, or with its last owner.
///
/// After that its number is -1, so that a late call fails instead of touching a stranger's
/// descriptor. Every call that passes a pointer to the system is in this file.
final class Socket: Sendable {
    private let number: Atomic<Int32>

    /// Takes over a descriptor; -1 makes a socket that is closed already.
    init(owning descriptor: Int32) {
        number = Atomic(descriptor)
    }

    deinit {
        close()
    }

    var descriptor: Int32 {
        number.load(ordering: .relaxed)
    }

    func close() {
        let descriptor = release()
        if descriptor >= 0 { cposix_close(descriptor) }
    }

    /// Closes so that the peer sees a reset and not an orderly end.
    func abort() {
        let descriptor = release()
        if descriptor >= 0 { cposix_abort(descriptor) }
    }

    /// Gives the descriptor away; -1 if there is none any more.
    func release() -> Int32 {
        number.exchange(-1, ordering: .acquiringAndReleasing)
    }
}

extension Socket {
    static func make(_ kind: SocketKind, for address: IPAddress) throws(SocketError) -> Socket {
        let version: Int32 =
            switch address {
            case .v4: 4
            case .v6: 6
            }
        return Socket(
            owning: try systemCall("socket", cposix_socket(version, kind == .streams))
        )
    }

    /// Binds; `::` also takes IPv4, unless that is not wanted, and shows its addresses as IPv4.
    func bind(
        to endpoint: Endpoint,
        kind: SocketKind,
        takesBoth: Bool = true
    ) throws(SocketError) {
        if case .v6 = endpoint.address {
            // A system without IPv4 may refuse; it then has nothing to share.
            wish(CPOSIX_ONLY_V6, takesBoth && endpoint.address.isUnspecified ? 0 : 1)
        }
        let status = cposix_bind(descriptor, endpoint.system)
        guard status < 0 else { return }
        switch SocketFailure(errno: -status) {
        case .addressInUse: throw .addressInUse(endpoint, kind: kind)
        case .addressUnavailable: throw .addressUnavailable(endpoint)
        case .forbidden: throw .forbidden(endpoint)
        default: throw .failed(call: "bind \(endpoint)", errno: -status)
        }
    }

    func set(_ option: cposix_option, _ value: Int32 = 1) throws(SocketError) {
        _ = try systemCall("setsockopt", cposix_set_option(descriptor, option, value))
    }

    /// Sets what is only a wish; the socket works without it.
    func wish(_ option: cposix_option, _ value: Int32 = 1) {
        _ = cposix_set_option(descriptor, option, value)
    }

    /// The settings that every stream of ours has: no delay, and a dead peer is noticed.
    func prepareForStream() {
        wish(CPOSIX_NO_DELAY)
        wish(CPOSIX_KEEPALIVE, 20)
        wish(CPOSIX_USER_TIMEOUT, 30_000)
    }

    var local: Endpoint? { Endpoint(system: cposix_local_endpoint(descriptor)) }

    /// Whether the system connected the socket to itself, as it may when nobody listens on a port
    /// from which it also takes source ports.
    var isConnectedToItself: Bool {
        guard let local else { return false }
        return local == Endpoint(system: cposix_peer_endpoint(descriptor))
    }
}

/// What one read or write on a socket brought.
enum TransferResult {
    /// So many bytes; reading, zero is the end of the stream.
    case moved(Int)
    case wouldBlock
    case failed(errno: Int32)

    fileprivate init(_ result: Int) {
        if result >= 0 {
            self = .moved(result)
        } else if case .wouldBlock = SocketFailure(errno: Int32(-result)) {
            self = .wouldBlock
        } else {
            self = .failed(errno: Int32(-result))
        }
    }
}

extension Socket {
    /// Reads into the buffer, from its start.
    func receive(into buffer: inout [UInt8]) -> TransferResult {
        let descriptor = descriptor
        let count = unsafe buffer.withUnsafeMutableBytes { bytes in
            unsafe cposix_receive(descriptor, bytes.baseAddress, bytes.count)
        }
        return TransferResult(count)
    }

    /// Writes a part of the bytes.
    ///
    /// - Parameter moreFollows: the system may wait for what is sent next, or for the end, to put
    ///   both into one packet.
    func send(
        _ bytes: [UInt8],
        _ range: Range<Int>,
        moreFollows: Bool = false
    ) -> TransferResult {
        let descriptor = descriptor
        let count = unsafe bytes.withUnsafeBytes { bytes in
            let part = unsafe UnsafeRawBufferPointer(rebasing: bytes[range])
            return unsafe cposix_send(descriptor, part.baseAddress, part.count, moreFollows ? 1 : 0)
        }
        return TransferResult(count)
    }

    /// How many bytes wait to be read.
    var availableByteCount: Int {
        max(0, Int(cposix_available(descriptor)))
    }
}

/// A datagram that lies in the buffer it was received into.
struct ArrivedDatagram {
    let byteCount: Int
    /// The buffer was too small; the rest is lost.
    let isTruncated: Bool
    let interface: UInt32
    let source: Endpoint
}

enum DatagramResult {
    case arrived(ArrivedDatagram)
    case wouldBlock
    case failed(errno: Int32)
}

extension Socket {
    func receiveDatagram(into buffer: inout [UInt8]) -> DatagramResult {
        let descriptor = descriptor
        let result = unsafe buffer.withUnsafeMutableBytes { bytes in
            unsafe cposix_receive_datagram(descriptor, bytes.baseAddress, bytes.count)
        }
        if result.byte_count < 0 {
            let errno = Int32(-result.byte_count)
            if case .wouldBlock = SocketFailure(errno: errno) { return .wouldBlock }
            return .failed(errno: errno)
        }
        guard let source = Endpoint(system: result.source) else { return .failed(errno: 0) }
        let datagram = ArrivedDatagram(
            byteCount: Int(result.byte_count),
            isTruncated: result.truncated,
            interface: result.interface,
            source: source
        )
        return .arrived(datagram)
    }

    /// Zero, or the error number.
    func sendDatagram(_ bytes: Span<UInt8>, to destination: Endpoint) -> Int32 {
        let descriptor = descriptor
        let count = unsafe bytes.withUnsafeBytes { bytes in
            unsafe cposix_send_datagram(
                descriptor,
                bytes.baseAddress,
                bytes.count,
                destination.system
            )
        }
        return Int32(-min(0, count))
    }

    /// Sends out of one interface and from one of its addresses; zero, or the error number.
    func sendDatagram(
        _ bytes: Span<UInt8>,
        to destination: Endpoint,
        interface: UInt32,
        source: IPAddress
    ) -> Int32 {
        let descriptor = descriptor
        let source = Endpoint(address: source, port: 0)
        let count = unsafe bytes.withUnsafeBytes { bytes in
            unsafe cposix_send_datagram_via(
                descriptor,
                bytes.baseAddress,
                bytes.count,
                destination.system,
                interface,
                source.system
            )
        }
        return Int32(-min(0, count))
    }
}

/// The result of a call that says `-errno` when it fails.
func systemCall(_ name: String, _ result: Int32) throws(SocketError) -> Int32 {
    if result < 0 { throw .failed(call: name, errno: -result) }
    return result
}

extension Socket {
    /// Starts to connect, from an address of ours if one is given; nil, or the error number.
    func startConnecting(to peer: Endpoint, from source: IPAddress?) -> Int32? {
        prepareForStream()
        if let source, !source.isUnspecified, source.isSameFamily(as: peer.address) {
            wish(CPOSIX_LATE_PORT)
            let status = cposix_bind(descriptor, Endpoint(address: source, port: 0).system)
            if status < 0 { return -status }
        }
        let status = cposix_connect(descriptor, peer.system)
        if status == 0 { return nil }
        if case .inProgress = SocketFailure(errno: -status) { return nil }
        return -status
    }
}

extension IPAddress {
    func isSameFamily(as other: IPAddress) -> Bool {
        switch (self, other) {
        case (.v4, .v4), (.v6, .v6): true
        case (.v4, .v6), (.v6, .v4): false
        }
    }
}

extension Socket {
    func listen(_ backlog: Int32, at endpoint: Endpoint) throws(SocketError) {
        let status = cposix_listen(descriptor, backlog)
        if status == 0 { return }
        if case .addressInUse = SocketFailure(errno: -status) {
            throw .addressInUse(endpoint, kind: .streams)
        }
        throw .failed(call: "listen \(endpoint)", errno: -status)
    }
}
