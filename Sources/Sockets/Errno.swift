internal import EventLoop

// The few error numbers that mean something to us.
#if canImport(Glibc)
internal import Glibc
#elseif canImport(Musl)
internal import Musl
#elseif canImport(Android)
internal import Android
#elseif canImport(Darwin)
internal import Darwin
#endif

/// What an error number means for a socket.
enum SocketFailure {
    /// Nothing to read, or no room to write: wait for readiness.
    case wouldBlock
    case inProgress
    /// The process or the system has no descriptors or memory left.
    case exhausted
    case messageTooLong
    case noBufferSpace
    case addressInUse
    case addressUnavailable
    case forbidden
    case refused
    case unreachable
    case reset
    case timedOut
    case other

    init(errno: Int32) {
        self =
            switch errno {
            case EAGAIN, EWOULDBLOCK: .wouldBlock
            case EINPROGRESS: .inProgress
            case EMFILE, ENFILE, ENOMEM: .exhausted
            case EMSGSIZE: .messageTooLong
            case ENOBUFS: .noBufferSpace
            case EADDRINUSE: .addressInUse
            case EADDRNOTAVAIL: .addressUnavailable
            case EACCES, EPERM: .forbidden
            case ECONNREFUSED: .refused
            // EINVAL is what Linux says to a connection from a loopback address to elsewhere.
            case ENETUNREACH, EHOSTUNREACH, ENETDOWN, EHOSTDOWN, EINVAL: .unreachable
            case ECONNRESET, EPIPE, ECONNABORTED: .reset
            case ETIMEDOUT: .timedOut
            default: .other
            }
    }
}

extension StreamClosure {
    /// Why a connection did not come to stand.
    init(connecting errno: Int32) {
        self =
            switch SocketFailure(errno: errno) {
            case .refused: .refused
            case .unreachable, .addressUnavailable: .unreachable
            case .timedOut: .timedOut
            case .reset: .reset
            default: .failed(errno: errno)
            }
    }

    /// Why a connection that stood broke.
    ///
    /// A peer that no longer acknowledges anything is gone like one that reset the connection.
    init(connected errno: Int32) {
        self =
            switch SocketFailure(errno: errno) {
            case .reset, .timedOut, .refused: .reset
            case .unreachable: .unreachable
            default: .failed(errno: errno)
            }
    }
}
