/// An IP address and a port: where an agent, an RPC server or an HTTP server is reached.
public struct Endpoint: Hashable, Comparable, Sendable {
    @usableFromInline package var address: IPAddress
    @usableFromInline package var port: UInt16

    /// A port at an address.
    @inlinable
    public init(address: IPAddress, port: UInt16) {
        self.address = address
        self.port = port
    }

    /// Reads `127.0.0.1:80`, `[::1]:80`, and, when a default port is given, an address without one.
    ///
    /// Only literals: names are resolved at the edge, never here. Nil for anything else.
    package init?(_ text: some StringProtocol, defaultPort: UInt16? = nil) {
        if let address = IPAddress(text) {
            guard let defaultPort else { return nil }
            self.init(address: address, port: defaultPort)
            return
        }
        if let defaultPort, let address = Self.bracketed(text) {
            self.init(address: address, port: defaultPort)
            return
        }
        guard let colon = text.lastIndex(of: ":"),
            let port = UInt16(digits: text[text.index(after: colon)...])
        else { return nil }
        let host = text[..<colon]
        // An IPv6 address without brackets could have swallowed the port.
        guard let address = Self.bracketed(host) ?? (host.contains(":") ? nil : IPAddress(host))
        else { return nil }
        self.init(address: address, port: port)
    }

    /// The address in `[::1]`; nil if there are no brackets, or no IPv6 address in them.
    private static func bracketed(_ text: some StringProtocol) -> IPAddress? {
        guard text.hasPrefix("["), text.hasSuffix("]"), text.contains(":") else { return nil }
        return IPAddress(text.dropFirst().dropLast())
    }

    /// Whether both lead to the same place.
    @inlinable
    public static func == (left: Self, right: Self) -> Bool {
        left.port == right.port && left.address == right.address
    }

    /// By address, then by port.
    public static func < (left: Self, right: Self) -> Bool {
        (left.address, left.port) < (right.address, right.port)
    }
}

extension Endpoint: CustomStringConvertible {
    /// As URLs have it: `127.0.0.1:80`, `[::1]:80`.
    public var description: String {
        switch address {
        case .v4: "\(address):\(port)"
        case .v6: "[\(address)]:\(port)"
        }
    }
}
