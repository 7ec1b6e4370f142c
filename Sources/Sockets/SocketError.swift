internal import CPosix
package import Primitives

/// Why a socket or a loop could not be set up, in words that say what to do.
package enum SocketError: Error, Hashable, Sendable {
    /// Another program has this address and port, or all addresses of this port.
    case addressInUse(Endpoint, kind: SocketKind)
    /// The address does not belong to this machine.
    case addressUnavailable(Endpoint)
    /// The system forbids this port, or sockets at all.
    case forbidden(Endpoint)
    /// Anything else, with the call that failed and the system's error number.
    case failed(call: String, errno: Int32)
}

/// What travels over a socket.
package enum SocketKind: String, Sendable {
    case datagrams = "UDP"
    case streams = "TCP"
}

extension SocketError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .addressInUse(let endpoint, let kind):
            """
            \(kind.rawValue) port \(endpoint.port) of \(endpoint.address) is in use, perhaps by \
            another agent: stop it, or choose another port or address
            """
        case .addressUnavailable(let endpoint):
            """
            \(endpoint.address) is no address of this machine: choose one of its own, or 0.0.0.0 \
            for all of them
            """
        case .forbidden(let endpoint):
            "the system does not allow to use \(endpoint): choose a port above 1023"
        case .failed(let call, let errno):
            "\(call): \(systemErrorText(errno)) (error \(errno))"
        }
    }
}

extension SocketError {
    /// The system's error number, for where only that can be told.
    var errno: Int32 {
        if case .failed(_, let errno) = self { return errno }
        return 0
    }
}

/// The system's words for an error number.
package func systemErrorText(_ errno: Int32) -> String {
    var text = [CChar](repeating: 0, count: 128)
    unsafe cposix_error_text(errno, &text, text.count)
    return String(decoding: text.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
}
